"""The blind door: prepared inputs, and nothing that knows of labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.ground.errors import UserError
from benchmark.ground.files import load_array
from datasets.base import Inputs

TRACKS = ("transductive", "inductive")


@dataclass(frozen=True)
class Loaded:
    """Prepared inputs in memory.

    inputs: what the method is given. all: every row in prepared order, image [n, c, h, w] uint8 or vector [n, d] float32.
    train_rows: [m] int64, the rows of `all` that are `inputs.train`. split: [n] int8, 0 train and 1 test, or None.
    """

    inputs: Inputs
    all: Tensor
    train_rows: Tensor
    split: np.ndarray | None


def load(folder: Path, *, track: str) -> Loaded:
    """Reads a prepared folder. transductive: train on every row; inductive: on all but the official test rows."""
    if track not in TRACKS:
        raise UserError(f"no track {track!r}; there are: {', '.join(TRACKS)}")
    array = load_array(folder / "x.npy", mmap=True)
    if (array.ndim, array.dtype) not in ((4, np.uint8), (2, np.float32)):
        raise UserError(f"{folder / 'x.npy'} holds {array.dtype} of {array.ndim} axes; prepare the dataset again")
    split = load_array(folder / "split.npy") if (folder / "split.npy").is_file() else None
    if track == "inductive" and split is None:
        raise UserError("this dataset has no official split, so it is transductive only; choose --track transductive")
    rows = np.arange(len(array)) if track == "transductive" else np.flatnonzero(split != 1)
    every, train_rows = torch.from_numpy(array), torch.from_numpy(rows.astype(np.int64))
    train = every if track == "transductive" else every[train_rows]
    return Loaded(Inputs("image" if array.ndim == 4 else "vector", train), every, train_rows, split)
