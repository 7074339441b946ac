"""Turns a dataset's raw files into prepared inputs and labels: two folders, with opaque names, under two roots.

Sighted: it opens labels, so only the parent process imports it.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.ground.errors import MissingData
from benchmark.ground.files import canonical_json, replacing, sha256, sha256_array, sha256_file, write_text
from datasets import derived, registry
from datasets.base import Card, Raw
from datasets.parts import npz
from datasets.source import Source

PREPARE_VERSION = 1
_PROTOCOL = "protocol v1"


@dataclass(frozen=True)
class Prepared:
    """A dataset as it lies in the cache. inputs and labels: folders; addresses: their names, hashes of their content."""

    name: str
    kind: str
    modality: str
    inputs: Path
    inputs_address: str
    labels: Path
    labels_address: str
    n: int
    classes: int
    has_split: bool


def prepare(name: str, *, cache: Path, data: Path | None = None, download: bool = False) -> Prepared:
    """Makes the prepared files of a dataset, or finds them whole; MissingData where raw files are absent or wrong.

    cache: the cache's root. data: the user's data folder. download: whether official addresses may be asked.
    """
    card, cache = registry.card(name), Path(cache)
    index = cache / "labels" / "index" / f"{name}.json"
    known = _intact(index, cache, card)
    if known is None:
        raw = read(name, Source(data, cache, download, name=name, bound=_bound(card)))
        check(name, raw, card)
        known = _write(name, raw, card, cache)
        write_text(index, canonical_json(known))
    return Prepared(
        name=name,
        kind=card.kind,
        modality=card.modality,
        inputs=cache / "inputs" / known["inputs"],
        inputs_address=known["inputs"],
        labels=cache / "labels" / known["labels"],
        labels_address=known["labels"],
        n=card.n,
        classes=card.classes,
        has_split=bool(card.n_test),
    )


def _bound(card: Card) -> int:
    """How many bytes an archive with the arrays of a card may hold at most: inputs as float64, labels and split as int64."""
    return 8 * card.n * (math.prod(card.shape) + 2) + (1 << 20)


def fold_seed(name: str) -> int:
    """The dataset's seed of the stratified 80/20 that kNN and the probe use where there is no official split."""
    return _integer(f"{name} {_PROTOCOL} folds")


def read(name: str, source: Source) -> Raw:
    """The canonical arrays: of a derived set those of its base that the rule keeps, else those of its file's loader.

    `<name>.npz` goes first, where that is there and the dataset comes from files.
    """
    entry = registry.entry(name)
    if entry.family == "outside":
        return registry.own_data(name)
    if entry.family == "derived" and (rule := derived.parse(name)):
        base = registry.card(rule.base)
        raw = read(rule.base, source)
        check(rule.base, raw, base)
        return derived.rows(name, rule, base, raw)
    if registry.card(name).files and source.has(f"{name}.npz"):
        return npz.load(source, f"{name}.npz")
    return registry.get(name).load(source)


def hashes(name: str, *, cache: Path, data: Path | None = None) -> str:
    """The hashes of the canonical arrays as they would stand on the card."""
    raw = read(name, Source(data, cache, name=name))
    return f'sha_inputs="{sha256_array(raw.inputs)}", sha_labels="{sha_labels(raw)}"'


def repeats(raw: Raw) -> tuple[int, int]:
    """(rows equal, byte for byte, to an earlier row; test rows equal to a train row)."""
    keys = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in raw.inputs]
    train = set() if raw.split is None else {key for key, part in zip(keys, raw.split, strict=True) if part == 0}
    leaks = 0 if raw.split is None else sum(key in train for key, part in zip(keys, raw.split, strict=True) if part == 1)
    return len(keys) - len(set(keys)), leaks


def sha_labels(raw: Raw) -> str:
    """The hash of the labels, the split folded in."""
    assert raw.labels is not None
    return sha256_array(raw.labels if raw.split is None else np.stack([raw.labels, raw.split.astype(np.int64)]))


def check(name: str, raw: Raw, card: Card) -> None:
    """Compares canonical arrays with the card; MissingData, with both values, where they differ."""
    dtype = "uint8" if card.modality == "image" else "float32"
    facts: dict[str, tuple[Any, Any]] = {
        "shape of the inputs": (raw.inputs.shape, (card.n, *card.shape)),
        "type of the inputs": (str(raw.inputs.dtype), dtype),
        "number of test rows": (0 if raw.split is None else int(np.count_nonzero(raw.split == 1)), card.n_test),
        "number of train rows": (
            0 if raw.split is None else int(np.count_nonzero(raw.split == 0)),
            card.n_test and card.n - card.n_test - card.n_unlabelled,
        ),
        "number of rows without a label": (0 if raw.split is None else int(np.count_nonzero(raw.split == 2)), card.n_unlabelled),
    }
    if card.classes or raw.labels is not None:
        facts |= _label_facts(raw, card)
    if card.sha_inputs:
        facts["hash of the inputs"] = (sha256_array(raw.inputs), card.sha_inputs)
        facts["hash of the labels"] = (sha_labels(raw), card.sha_labels)
    advice = (
        f"the files are another version: put the official ones there, or `uv run run_all.py data get {name}`"
        if card.files
        else "the loader, or a package it uses, has changed: correct the loader or the card"
    )
    for fact, (found, wanted) in facts.items():
        if found != wanted:
            raise MissingData(f"dataset {name!r}: the {fact} is {found}, but the card says {wanted}; {advice}")


def _label_facts(raw: Raw, card: Card) -> dict[str, tuple[Any, Any]]:
    """What a card says of labels beside what they are; number by class only where the rest agrees."""
    if raw.labels is None:
        return {"labels": ("absent", f"of {card.classes} classes")}
    known = raw.labels if raw.split is None or len(raw.split) != len(raw.labels) else raw.labels[raw.split != 2]
    facts: dict[str, tuple[Any, Any]] = {
        "shape of the labels": (raw.labels.shape, (card.n,)),
        "type of the labels": (str(raw.labels.dtype), "int64"),
        "classes": (np.unique(known).tolist(), list(range(card.classes))),
    }
    if all(found == wanted for found, wanted in facts.values()):
        if card.class_counts:
            facts["number of rows by class"] = (np.bincount(known).tolist(), list(card.class_counts))
        if card.test_counts and raw.split is not None:
            tests = np.bincount(raw.labels[raw.split == 1], minlength=card.classes)
            facts["number of test rows by class"] = (tests.tolist(), list(card.test_counts))
    return facts


def _integer(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def permutation(name: str, n: int) -> np.ndarray:
    """[n] int64: row i of the prepared files is row permutation[i] of the canonical arrays."""
    seed = int.from_bytes(hashlib.sha256(f"{name} {_PROTOCOL}".encode()).digest(), "big")
    return np.random.Generator(np.random.PCG64(seed)).permutation(n)


def _standardised(inputs: np.ndarray) -> np.ndarray:
    """Vectors less one global mean, over one global scale; fsum, so that every machine gets the same bytes."""
    values = inputs.astype(np.float64)
    centred = values - math.fsum(values.ravel()) / values.size
    scale = math.sqrt(math.fsum(np.square(centred).ravel()) / values.size)
    return (centred / (scale or 1.0)).astype(np.float32)


def _write(name: str, raw: Raw, card: Card, cache: Path) -> dict[str, Any]:
    """Writes the prepared files; returns the index."""
    order = permutation(name, card.n)
    vectors = card.modality == "vector" and card.standardise
    inputs = {"x.npy": (_standardised(raw.inputs) if vectors else raw.inputs)[order]}
    if raw.split is not None:
        inputs["split.npy"] = raw.split[order]
    labels = {"y.npy": np.empty(0, np.int64) if raw.labels is None else raw.labels[order]}
    addresses = {
        kind: sha256(*[sha256_array(a).encode() for a in arrays.values()])
        for kind, arrays in (("inputs", inputs), ("labels", labels))
    }
    files = {}
    for kind, arrays in (("inputs", inputs), ("labels", labels)):
        for file, array in arrays.items():
            path = cache / kind / addresses[kind] / file
            with replacing(path) as part, part.open("wb") as stream:
                np.save(stream, array, allow_pickle=False)
            files[f"{kind}/{addresses[kind]}/{file}"] = sha256_file(path)
    return {**addresses, **_stamp(card), "dataset": name, "files": files}


def _stamp(card: Card) -> dict[str, Any]:
    """What the prepared files depend on besides the name."""
    return {
        "version": PREPARE_VERSION,
        "protocol": _PROTOCOL,
        "sha_inputs": card.inputs_id,
        "sha_labels": card.labels_id,
        "standardise": card.standardise,
    }


def _intact(index: Path, cache: Path, card: Card) -> dict[str, Any] | None:
    """The index, if it is today's and every file it names is whole; None asks for the files to be made again."""
    try:
        known = json.loads(index.read_text(encoding="utf-8"))
        wanted = [f"inputs/{known['inputs']}/x.npy", f"labels/{known['labels']}/y.npy"]
        wanted += [f"inputs/{known['inputs']}/split.npy"] if card.n_test else []
        today = all(known[key] == value for key, value in _stamp(card).items()) and sorted(known["files"]) == sorted(wanted)
        return known if today and all(sha256_file(cache / path) == known["files"][path] for path in wanted) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
