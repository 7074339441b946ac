"""Finds the datasets and reads their cards without importing them."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from benchmark.ground.errors import UserError
from benchmark.ground.rooms import Room
from datasets.base import Card

FOLDER = Path(__file__).parent
_room = Room("datasets", FOLDER, Card, "dataset", name=lambda stem: stem.replace("_", "-"))
card, entry, plug_in = _room.card, _room.entry, _room.add


def names(*, hidden: bool = False) -> list[str]:
    """The names of all datasets, sorted; those that exist for tests only where `hidden` asks for them."""
    return [name for name, found in _room.entries.items() if hidden or not found.card.hidden]


def get(name: str) -> ModuleType:
    """The file of a dataset as a module with `card` and `load(source) -> Raw`; UserError for an unknown name."""
    module = _room.module(name)
    if not callable(getattr(module, "load", None)):
        raise UserError(f"{module.__file__} defines no load; write `def load(source: Source) -> Raw`")
    return module
