"""The door for results made elsewhere: inputs go out in canonical order, assignments or embeddings come back and are scored.

Row i of a submitted array is row i of the exported inputs, which is the order of the official files. Prepared files lie in
another order (`datasets.prepare.permutation`), and so do the outputs of a fit.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import datasets
import methods
from benchmark.ground.errors import MissingData, UserError, unknown
from benchmark.ground.files import canonical_json, load_array, replacing, sha256_array
from benchmark.plan import Submitted
from benchmark.report.words import address
from benchmark.runner import Bench, Settings
from benchmark.store import slug
from benchmark.worker import BadOutput, Clusterer, checked_embedding, checked_soft
from datasets import inputs as door
from datasets.prepare import permutation, prepare
from methods.card import BUDGETS, TOLD, TRACKS

ARRAYS = ("assign", "embedding", "soft")
ALLOWED = (*ARRAYS, "content", "dataset")
MOST_COLUMNS = 1 << 16
MOST_WORDS = 300  # characters of a title, authors, an address


@dataclass(frozen=True)
class Claim:
    """What a submission says it is. told: words of `methods.card.TOLD`."""

    method: str
    dataset: str
    seed: int = 0
    track: str = "transductive"
    budget: str = "full"
    variant: str = "base"
    told: Collection[str] = ("k",)
    title: str = ""
    authors: str = ""
    url: str = ""


def export(name: str, out: Path, *, cache: Path, data: Path | None = None) -> int:
    """Writes the inputs of a dataset in canonical order, and its official split, but no label; returns how many rows.

    x: what methods are given, image [n, c, h, w] uint8 or vector [n, d] float32. split: [n] int8, 0 train, 1 test. content:
    the address of the prepared inputs, which a submission repeats.
    """
    found = _prepared(name, cache, data)
    order = permutation(name, found.n)
    arrays = {file.stem: _canonical(load_array(file), order) for file in sorted(found.inputs.glob("*.npy"))}
    with replacing(out) as part, part.open("wb") as stream:
        np.savez(stream, **arrays, content=np.array(found.inputs_address), dataset=np.array(name))  # type: ignore[arg-type]
    return found.n


@dataclass(frozen=True)
class Admitted:
    """A submission that was found sound. arrays: in prepared order. by: who made the clusters, method or kmeans."""

    cell: Submitted
    arrays: Mapping[str, np.ndarray]
    by: str


def admit(path: Path, claim: Claim, settings: Settings, *, accept: bool = False) -> Admitted:
    """Checks a file of arrays and what is said of it, and brings its rows into prepared order. accept: replaces a record."""
    _check(claim)
    found = _prepared(claim.dataset, settings.cache.root, settings.data)
    order = permutation(claim.dataset, found.n)
    given = {name: array[order] for name, array in read(path, claim.dataset, found.n, found.inputs_address).items()}
    words = {name: getattr(claim, name) for name in ("title", "authors", "url")}
    cell = Submitted(
        **{name: getattr(claim, name) for name in ("method", "dataset", "track", "budget", "seed", "variant")},
        device="elsewhere",
        given={**words, "arrays": {name: sha256_array(array)[:32] for name, array in given.items()}},
        said=frozenset(claim.told),
    )
    if cell.not_applicable:
        raise UserError(f"{cell.not_applicable}; it has: {', '.join(datasets.card(claim.dataset).tracks)}")
    known = settings.results.usable(cell.key)
    if known and known["fit_fingerprint"] != cell.fit_fingerprint and not accept:
        raise UserError(f"{cell.key} has a record of {known['date']} already; give another --seed, or replace it by --accept")
    return Admitted(cell, *_checked(given, cell, door.load(found.inputs, track=claim.track), path))


def score(admitted: Admitted, bench: Bench) -> dict[str, Any]:
    """Puts the arrays where a fit's outputs lie, scores them like those, and writes the record: its fit is self-reported."""
    cell, arrays = admitted.cell, admitted.arrays
    with bench.settings.results.claim(cell.key):
        with replacing(bench.outputs(cell)) as part:
            part.mkdir(parents=True)
            for name, array in arrays.items():
                np.save(part / f"{name}.npy", array, allow_pickle=False)
            used = int((np.unique(arrays["assign"]) >= 0).sum())
            made: dict[str, Any] = {"k_used": used, "clusters_by": admitted.by, "arrays": sorted(arrays), "cost": {}}
            fit = {"state": "ok", "reason": None, **made}
            (part / "fit.json").write_text(canonical_json(fit), encoding="utf-8")
        outcome = bench.score_cell(cell, fit)
        outcome.record["flags"] = sorted({*outcome.record["flags"], "self_reported"})
        outcome.record["submitted"] = dict(cell.given)
        bench.clerk.keep(outcome, arrays["assign"])
    return outcome.record


def read(path: Path, dataset: str, n: int, content: str) -> dict[str, np.ndarray]:
    """The arrays of a submission, in canonical order; UserError for a file that is none, or belongs to other inputs."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {item.filename.removesuffix(".npy"): item.file_size for item in archive.infolist()}
        if strange := sorted(set(sizes) - set(ALLOWED)):
            raise UserError(f"{path} holds {', '.join(map(ascii, strange))}; allowed: {', '.join(ALLOWED)}")
        if max(sizes.values(), default=0) > 4 * MOST_COLUMNS * n + 4096:
            raise UserError(f"{path} unpacks to {max(sizes.values()):,} bytes an array; that is too much for {n:,} rows")
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, EOFError, KeyError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} can't be read as an .npz of plain arrays: {error}; write it with numpy.savez") from None
    said = str(arrays.pop("content", ""))
    if said != content:
        raise UserError(
            f"{path} says content {said[:80]!r}, but the inputs of {dataset} here are {content!r}; "
            f"copy `content` from the file that `run_all.py data export {dataset}` writes, whose rows are the order to keep"
        )
    arrays.pop("dataset", None)
    if not {"assign", "embedding"} & set(arrays):
        raise UserError(f"{path} holds neither assign nor embedding; one of them is enough")
    for name, array in arrays.items():
        if array.ndim < 1 or len(array) != n:
            raise UserError(f"{name} has shape {list(array.shape)}; {dataset} has {n:,} rows, in the order of `data export`")
    return arrays


def _check(claim: Claim) -> None:
    """What a submission says of itself, before anything is read."""
    slug(claim.method, "method")
    slug(claim.variant, "variant")
    if claim.method in methods.names():
        raise UserError(f"{claim.method!r} is a method of this project, which is fitted here; give yours another name")
    for word, known, what in ((claim.track, TRACKS, "track"), (claim.budget, BUDGETS, "budget")):
        if word not in known:
            raise unknown(what, word, known)
    if strange := sorted(set(claim.told) - TOLD):
        raise unknown("word for what a method is told", strange[0], sorted(TOLD))
    if not 0 <= claim.seed < 2**31:
        raise UserError(f"seed is {claim.seed}; allowed: 0 and up")
    for name in ("title", "authors", "url"):
        text = getattr(claim, name)
        if len(text) > MOST_WORDS or not text.isprintable():
            raise UserError(f"{name} is {text[:60]!r}…; allowed: one line of at most {MOST_WORDS} characters")
    if claim.url and not address(claim.url):
        raise UserError(f"url is {claim.url!r}; allowed: an address that begins with https:// or http://")


def _prepared(name: str, cache: Path, data: Path | None) -> Any:
    try:
        return prepare(name, cache=cache, data=data)
    except MissingData as error:
        raise UserError(str(error)) from None


def _canonical(prepared: np.ndarray, order: np.ndarray) -> np.ndarray:
    canonical = np.empty_like(prepared)
    canonical[order] = prepared
    return canonical


def _checked(given: dict[str, np.ndarray], cell: Submitted, data: Any, path: Path) -> tuple[dict[str, np.ndarray], str]:
    """The arrays as a fit here would have to give them, assignments among them; and who made the clusters."""
    n = len(data.all)
    try:
        arrays = {}
        if "embedding" in given:
            arrays["embedding"] = checked_embedding(_real(given["embedding"], "embedding"), n)
        if "soft" in given:
            arrays["soft"] = checked_soft(_real(given["soft"], "soft"), n)
        clusters = Clusterer(cell.clusters, cell.seed, told=cell.k)
        made = _Made(given.get("assign"))
        arrays["assign"] = clusters.final(made, data, arrays.get("embedding"))
    except Exception as error:
        if type(error).__name__ not in (BadOutput.__name__, "Diverged"):
            raise
        raise UserError(f"{path}: {error}") from None
    arrays["snapshots"] = arrays["assign"][data.train_rows.numpy()][None]
    return arrays, clusters.by


def _real(array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype.kind not in "fiu":
        raise BadOutput(f"{name} holds {array.dtype}; allowed: numbers")
    return array


@dataclass(frozen=True)
class _Made:
    """Stands for the method that made the arrays."""

    labels: np.ndarray | None
    embedding: np.ndarray | None = None

    def offers(self, verb: str) -> bool:
        """It can't be asked anything."""
        return False
