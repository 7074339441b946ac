"""The datasets: one file each. `names()`, `card(name)` and `get(name)` read this room."""

from datasets.registry import card, entry, get, join, know, names, plug_in, root

__all__ = ["card", "entry", "get", "join", "know", "names", "plug_in", "root"]
