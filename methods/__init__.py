"""The methods: one file each, in family folders. `names()`, `card(name)` and `get(name)` read this room."""

from methods.registry import card, configure, entry, get, names, plug_in, refresh, source_files

__all__ = ["card", "configure", "entry", "get", "names", "plug_in", "refresh", "source_files"]
