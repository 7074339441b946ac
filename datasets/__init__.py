"""The datasets: one file each. `names()`, `card(name)` and `get(name)` read this room."""

from datasets.registry import card, entry, get, names, plug_in

__all__ = ["card", "entry", "get", "names", "plug_in"]
