"""Finds the metrics, reads their cards without importing them, and knows their source."""

from __future__ import annotations

import ast
from functools import partial
from pathlib import Path

from benchmark.ground.errors import UserError
from benchmark.ground.rooms import Entry, Room
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
    found: Entry = entry(name)
    seen: set[Path] = set()
    todo = [found.path, *(FOLDER / "parts" / f"{_COMPUTED[need]}.py" for need in found.card.needs if need in _COMPUTED)]
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo += _imports(path)
    return sorted(seen)


def _imports(path: Path) -> list[Path]:
    """Files of this room that a file imports, by any of Python's spellings, where they decide values."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *[f"{node.module}.{alias.name}" for alias in node.names]]
        elif isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
    inner = [module.split(".")[1:] for module in modules if module.startswith("metrics.")]
    files = [FOLDER.joinpath(*parts).with_suffix(".py") for parts in inner if parts[0] not in ("base", "registry", "evidence")]
    return [file for file in files if file.is_file()]
