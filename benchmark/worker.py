"""The blind side: one job in a child process, from inputs to outputs. No label, no metric, no dataset name is here."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.ground.files import canonical_json, load_array
from benchmark.ground.rooms import import_entry
from benchmark.wall import ATTEMPTS, Wall
from methods.registry import class_in


class BadOutput(Exception):
    """A method returned what the contract forbids."""


HEAVY = (
    "sklearn.cluster",
    "sklearn.decomposition",
    "sklearn.mixture",
    "torch._dynamo",  # the first optimiser in a process imports it, which takes seconds
    "datasets.inputs",
    "methods.run",
)


def preload() -> None:
    """The heavy imports, done once before any child is forked."""
    for name in HEAVY:
        importlib.import_module(name)


def main(job: dict[str, Any]) -> int:
    """Fits one cell. Writes outputs and, last, `fit.json` into `job["out"]`; the state is there, the exit code is 0."""
    out = Path(job["out"])
    wall = Wall(job["denied"], job["allowed"], writable=job["writable"], notes=out / ATTEMPTS).up()
    try:
        result = {"state": "ok", "reason": None, **_fit(job, out)}
    except BaseException as error:
        with contextlib.suppress(OSError, ValueError):  # the method may have closed the log
            traceback.print_exc()
        result = {"state": _state_of(error), "reason": _reason(error)}
    result["attempts"] = wall.attempts
    (out / "fit.json").write_text(canonical_json(result, digits=9), encoding="utf-8")
    return 0


def _state_of(error: BaseException) -> str:
    from methods.run import Diverged

    if isinstance(error, Diverged):
        return "diverged"
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return "out_of_memory"
    return "failed"


def _reason(error: BaseException) -> str:
    """The error in one line, with the method's own line where it has one."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "methods" in Path(frame.filename).parts]
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:500] + where


def seed_everything(seed: int) -> None:
    """Seeds torch, numpy and random from the cell's seed."""
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _fit(job: dict[str, Any], out: Path) -> dict[str, Any]:
    import torch

    from datasets import inputs as door
    from methods.checkpoint import Checkpoint
    from methods.run import Run, Supervision

    torch.set_num_threads(job["threads"])
    if job["device"].startswith("cuda"):
        torch.use_deterministic_algorithms(True, warn_only=True)
    data = door.load(Path(job["inputs"]), track=job["track"])
    device = torch.device(job["device"])
    shape = tuple(data.inputs.train.shape[1:])
    parts = {role: _restore(part, shape, device) for role, part in job["parts"].items()}
    told = Supervision(torch.from_numpy(load_array(Path(job["supervision"])))) if job["supervision"] else None

    seed_everything(job["seed"])
    method = _class_of(job["method"])(**job["config"])
    clusters = Clusterer(job["clusters"], job["seed"], told=job["k"])
    run = Run(
        seed=job["seed"],
        device=job["device"],
        parts=parts,
        supervision=told,
        on_progress=_Progress(out / "progress.json"),
        on_snapshot=lambda: clusters.of(method, data.inputs.train, starts=1),
        checkpoint=Checkpoint(Path(job["checkpoint"]), job["checkpoint_seconds"]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        method.fit(data.inputs, job["k"], run)
        arrays = _outputs(method, data, clusters)
    wall, cpu = run.spent()
    cost = {"wall_seconds": wall, "cpu_seconds": cpu, "parameters": method.parameters()}
    os.umask(0o022)  # whatever the method made of it
    fitted = arrays["assign"][data.train_rows.numpy()]
    arrays["snapshots"] = np.stack([*run.snapshots, fitted])
    for name, array in arrays.items():
        np.save(out / f"{name}.npy", array, allow_pickle=False)
    if method.offers("build"):
        np.savez(out / "state.npz", **{key: tensor.cpu().numpy() for key, tensor in method.state().items()})  # type: ignore[arg-type]
    used = np.unique(arrays["assign"])
    facts = {"k_used": int((used >= 0).sum()), "clusters_by": clusters.by, "arrays": sorted(arrays)}
    return {"cost": cost, **facts, **run.describe()}


def _class_of(method: dict[str, str]) -> Any:
    """The method's class, found in the module the plan named."""
    return class_in(import_entry(method["module"], Path(method["path"])))


def _restore(part: dict[str, Any], shape: tuple[int, ...], device: Any) -> Any:
    """A fitted part, from the outputs of its cell."""
    import torch

    from methods.base import to_device

    method = _class_of(part["method"])(**part["config"])
    with np.load(Path(part["outputs"]) / "state.npz", allow_pickle=False) as stored:
        state = {key: torch.from_numpy(stored[key]) for key in stored.files}
    method.restore(state, shape, part["k"])
    for name, value in vars(method).items():
        setattr(method, name, to_device(value, device))
    return method


def _outputs(method: Any, data: Any, clusters: Clusterer) -> dict[str, np.ndarray]:
    """Every output of a fitted method for all rows, in prepared order; checked."""
    every = data.all
    arrays: dict[str, np.ndarray] = {}
    embedding = _embedding(method, every)
    if embedding is not None:
        arrays["embedding"] = checked_embedding(embedding, len(every))
    arrays["assign"] = clusters.final(method, data, arrays.get("embedding"))
    if method.offers("assign_soft"):
        arrays["soft"] = checked_soft(method.assign_soft(every), len(every))
    return arrays


def _embedding(method: Any, x: Any) -> Any:
    if method.embedding is not None:
        return method.embedding
    return method.embed(x) if method.offers("embed") else None


class Clusterer:
    """Assignments of a method: its own, or k-means on its embedding (k-means++ starts), as protocol v1 says."""

    STARTS = 10

    def __init__(self, k: int, seed: int, *, told: int | None) -> None:
        self.k, self.seed, self.told, self.by = k, seed, told, "method"

    def of(self, method: Any, x: Any, *, starts: int) -> np.ndarray:
        """Assignments of rows x that the method was fitted on: [n] int64."""
        if method.labels is not None:
            return checked_assignments(method.labels, len(x), self.told)
        if method.offers("assign"):
            return checked_assignments(method.assign(x), len(x), self.told)
        return self._kmeans(checked_embedding(_embedding(method, x), len(x)), starts).labels_.astype(np.int64)

    def final(self, method: Any, data: Any, embedding: np.ndarray | None) -> np.ndarray:
        """Assignments of all rows: [n] int64; k-means is fitted on the rows the method was fitted on."""
        if method.labels is not None or method.offers("assign"):
            return self.of(method, data.all, starts=self.STARTS)
        if embedding is None:
            raise BadOutput("the method has neither assign nor embed, and set neither self.labels nor self.embedding in fit")
        self.by = "kmeans"
        rows = data.train_rows.numpy()
        model = self._kmeans(embedding[rows], self.STARTS)
        assigned = model.predict(embedding).astype(np.int64)
        assigned[rows] = model.labels_
        return assigned

    def _kmeans(self, embedding: np.ndarray, starts: int) -> Any:
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than k: the record says collapsed
            k = min(self.k, len(embedding))
            return KMeans(n_clusters=k, init="k-means++", n_init=starts, random_state=self.seed).fit(embedding)


def checked_assignments(value: Any, n: int, k: int | None) -> np.ndarray:
    """Assignments as [n] int64 in -1..k-1, or without an upper end where k is None; BadOutput otherwise."""
    array = np.asarray(value.cpu() if hasattr(value, "cpu") else value)
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise BadOutput(f"assignments are {array.dtype} {list(array.shape)}; allowed: integers [{n}] in 0..k-1, -1 for noise")
    if array.size and array.min() < -1:
        raise BadOutput(f"assignments reach down to {array.min()}; allowed: 0..k-1, and -1 for noise")
    if array.size and k is not None and array.max() >= k:
        raise BadOutput(
            f"assignments reach up to {array.max()}, but the method was told k = {k}; allowed: 0..{k - 1}, and -1 for noise"
        )
    return array.astype(np.int64)


def checked_embedding(value: Any, n: int) -> np.ndarray:
    """Embeddings as [n, d] float32, finite; BadOutput or Diverged otherwise."""
    from methods.run import Diverged

    array = np.asarray(value.detach().cpu().float() if hasattr(value, "cpu") else value, dtype=np.float32)
    if array.ndim != 2 or len(array) != n or array.shape[1] == 0:
        raise BadOutput(f"embeddings have shape {list(array.shape)}; allowed: [{n}, d]")
    if not np.isfinite(array).all():
        raise Diverged(f"{int((~np.isfinite(array)).any(axis=1).sum())} of {n} embeddings are not finite")
    return np.ascontiguousarray(array)


def checked_soft(value: Any, n: int) -> np.ndarray:
    """Soft assignments as [n, k] float32 whose rows sum to 1; BadOutput or Diverged otherwise."""
    array = checked_embedding(value, n)
    if array.min() < -1e-5 or np.abs(array.sum(axis=1) - 1).max() > 1e-3:
        raise BadOutput(
            f"soft assignments have rows that sum to {array.sum(axis=1).min():.4g}..{array.sum(axis=1).max():.4g}; allowed: 1"
        )
    return array


class _Progress:
    """Tells the parent how far the fit is, through a small file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, done: int, total: int) -> None:
        part = self.path.with_suffix(".tmp")
        part.write_text(json.dumps([done, total]), encoding="utf-8")
        part.replace(self.path)


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
