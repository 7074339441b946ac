"""Checkpoints: what a long loop needs to go on after a kill, to the same bytes. Arrays and JSON in one file, no pickle."""

from __future__ import annotations

import json
import random
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from benchmark.ground.files import replacing

SECONDS = 60.0


class Checkpoint:
    """The place of one fit's checkpoint. path: its file. every: at most one is written in so many seconds."""

    def __init__(self, path: Path, every: float = SECONDS) -> None:
        self.path, self.every = path, every
        self._last = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time for the next one."""
        return time.monotonic() - self._last >= self.every

    def load(self) -> dict[str, Any] | None:
        """What was saved last; None where there is nothing, or nothing whole."""
        try:
            with self.path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            return _restored(json.loads(arrays.pop("tree").tobytes()), arrays)
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            return None

    def save(self, tree: Mapping[str, Any]) -> None:
        """Writes a tree of dicts, lists, tuples, numbers, texts, arrays and tensors, whole or not at all."""
        arrays: dict[str, np.ndarray] = {}
        text = json.dumps(_packed(tree, arrays))
        with replacing(self.path) as part, part.open("wb") as stream:
            np.savez(stream, tree=np.frombuffer(text.encode(), np.uint8), **arrays)  # type: ignore[arg-type]
        self._last = time.monotonic()


def states(keep: Mapping[str, Any]) -> dict[str, Any]:
    """The states of a loop's things: tensors as they are, whatever else by its `state_dict`."""
    return {name: one if isinstance(one, Tensor) else one.state_dict() for name, one in keep.items()}


def put_back(keep: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    """Gives the things of a loop the states they had; tensors are filled in place."""
    with torch.no_grad():
        for name, one in keep.items():
            if isinstance(one, Tensor):
                one.copy_(saved[name])
            else:
                one.load_state_dict(saved[name])
                if isinstance(one, Optimizer):
                    _as_their_weights(one)


def _as_their_weights(optimizer: Optimizer) -> None:
    """Gives an optimiser's averages the memory order of their weights, which fused steps take for granted."""
    for weight, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                state[name] = torch.empty_like(weight).copy_(value)


def draws(generator: torch.Generator, device: torch.device) -> dict[str, Any]:
    """The state of every source of random numbers a method may have drawn from."""
    kind, keys, *rest = np.random.get_state()
    return {
        "generator": generator.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "numpy": [kind, keys, *rest],
        "random": random.getstate(),
    }


def draw_on(saved: Mapping[str, Any], generator: torch.Generator, device: torch.device) -> None:
    """Sets every source of random numbers to where it was."""
    generator.set_state(saved["generator"])
    torch.set_rng_state(saved["torch"])
    if device.type == "cuda" and saved["cuda"] is not None:
        torch.cuda.set_rng_state(saved["cuda"], device)
    np.random.set_state(tuple(saved["numpy"]))
    random.setstate(saved["random"])


def _packed(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """A value as JSON in which arrays stand by name; dicts and tuples are marked, since JSON knows only texts as keys."""
    if isinstance(value, Tensor):
        flat = value.detach().cpu()
        bits = flat.view(torch.int16) if flat.dtype == torch.bfloat16 else flat
        return {"tensor": _named(bits.numpy(), arrays), "bf16": flat.dtype == torch.bfloat16}
    if isinstance(value, np.ndarray):
        return {"array": _named(value, arrays)}
    if isinstance(value, Mapping):
        return {"dict": [[_packed(key, arrays), _packed(item, arrays)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_packed(item, arrays) for item in value]}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint can't hold {type(value).__name__}; allowed: tensors, arrays, numbers, texts, lists, dicts")


def _named(array: np.ndarray, arrays: dict[str, np.ndarray]) -> str:
    name = f"a{len(arrays)}"
    arrays[name] = array
    return name


def _restored(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        tensor = torch.from_numpy(arrays[value["tensor"]])
        return tensor.view(torch.bfloat16) if value["bf16"] else tensor
    if "array" in value:
        return arrays[value["array"]]
    if "dict" in value:
        return {_restored(key, arrays): _restored(item, arrays) for key, item in value["dict"]}
    ((kind, items),) = value.items()
    return (list if kind == "list" else tuple)(_restored(item, arrays) for item in items)
