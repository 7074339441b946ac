"""Finds the datasets and reads their cards without importing them.

A name is a file of this folder; or one of those with a rule behind it (`-lt50`, `@1000`: datasets/derived.py); or a set from
outside that has joined (datasets/outside.py).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from benchmark.ground.errors import UserError
from benchmark.ground.rooms import Entry, Room
from datasets.base import Card

if TYPE_CHECKING:
    from datasets.base import Raw

FOLDER = Path(__file__).parent
_room = Room("datasets", FOLDER, Card, "dataset", name=lambda stem: stem.replace("_", "-"))
_joined: dict[str, tuple[Card, Raw | None]] = {}
own_files: set[Path] = set()  # where a user's own data lie: behind the label wall, as all raw data
plug_in = _room.add


def names(*, hidden: bool = False) -> list[str]:
    """The names of all datasets that are files, sorted; those that exist for tests only where `hidden` asks for them."""
    return [name for name, found in _room.entries.items() if hidden or not found.card.hidden]


def entry(name: str) -> Entry:
    """The entry of a name, its card included; UserError, with the nearest names, for one that nobody has."""
    if name in _joined:
        return Entry(name, "outside", FOLDER / "outside.py", "datasets.outside", _joined[name][0])
    if name not in _room.entries and ("@" in name or "-lt" in name):
        from datasets import derived

        if rule := derived.parse(name):
            base = entry(rule.base)
            return replace(base, name=name, family="derived", card=derived.card(name, rule, base.card))
    return _room.entry(name)


def card(name: str) -> Card:
    """The card of a dataset, read without importing its file."""
    return entry(name).card


def root(name: str) -> str:
    """The dataset that a derived one comes from in the end; any other name is its own."""
    return root(base) if (base := card(name).base) else name


def get(name: str) -> ModuleType:
    """The file of a dataset as a module with `card` and `load(source) -> Raw`; UserError for an unknown name."""
    module = _room.module(name)
    if not callable(getattr(module, "load", None)):
        raise UserError(f"{module.__file__} defines no load; write `def load(source: Source) -> Raw`")
    return module


def join(spec: str, size: int | None = None) -> str:
    """Takes in a user's own data, `KIND:PATH`; returns its name. size: side that a folder's images are brought to."""
    from datasets import outside

    name, own, raw = outside.read(spec, size)
    own_files.add(outside.path_of(spec))
    _joined[name] = (own, raw)
    return name


def know(name: str, facts: dict[str, Any]) -> None:
    """Takes in the card that a record carries of a set from outside, so that a board can be made without the data."""
    from datasets import outside

    if name not in _joined:
        _joined[name] = (outside.card_of(facts), None)


def own_data(name: str) -> Raw:
    """The arrays of a set from outside; MissingData where it is known by its records alone."""
    from datasets import outside

    raw = _joined[name][1]
    if raw is None:
        raise outside.absent(name)
    return raw
