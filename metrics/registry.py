"""Finds the metrics, reads their cards without importing them, and knows their source."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmark.ground.errors import UserError
from benchmark.ground.rooms import Room, source_closure
from metrics.base import Card, Metric

FOLDER = Path(__file__).parent
_room = Room("metrics", FOLDER, Card, "metric")
names, card, entry, plug_in = _room.names, _room.card, _room.entry, _room.add

# the parts that evidence computes on a metric's behalf, by what its card says it needs
_TABLE = dict.fromkeys(("contingency", "train_contingency", "clusters"), "contingency")
_COMPUTED = {**_TABLE, "neighbours": "neighbours"}


def get(name: str) -> Metric:
    """The metric of that name; UserError for an unknown one.

    A file with one card defines `compute(evidence)`, a family `compute(evidence, name)`.
    """
    module, found = _room.module(name), entry(name)
    compute = getattr(module, "compute", None)
    if compute is None:
        raise UserError(f"{found.path} defines no function `compute`; write `def compute(evidence): ...`")
    return Metric(name, found.card, partial(compute, name=name) if hasattr(module, "cards") else compute)


def source_files(name: str) -> list[Path]:
    """The files that decide a metric's value: its own, what evidence computes for it, and what these import.

    `evidence.py`, `base.py` and this file check and pass on; they decide no value, so they are not among them.
    """
    found = entry(name)
    parts = [FOLDER / "parts" / f"{_COMPUTED[need]}.py" for need in found.card.needs if need in _COMPUTED]
    return source_closure([found.path, *parts], "metrics", FOLDER, outside=("base", "registry", "evidence"))
