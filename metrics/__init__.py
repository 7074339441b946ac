"""The metrics: one file each. `names()`, `card(name)` and `get(name)` read this room; `Evidence` is what metrics measure."""

from metrics.evidence import Evidence
from metrics.registry import card, entry, get, names, plug_in, source_files

__all__ = ["Evidence", "card", "entry", "get", "names", "plug_in", "source_files"]
