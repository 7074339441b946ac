"""Goes through everything it is handed, attributes and containers included, for labels."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import torch

from methods.base import Card, Method


@dataclass
class ReadsArguments(Method):
    """The arguments of fit are the door that labels come through in most code."""

    card = Card(title="ReadsArguments", authors="tests", year=2026, told={"k"})

    def fit(self, inputs, k, run):
        """Assigns the labels it found, else chance."""
        found = None
        with contextlib.suppress(OSError):
            found = self.search(inputs, run)
        if found is None:
            found = torch.randint(0, k, (len(inputs.train),), generator=run.generator)
        self.labels = torch.from_numpy(np.array(found, dtype=np.int64))

    def search(self, inputs, run):
        """Labels [n], or None."""
        from torch import Tensor

        n, seen, todo = len(inputs.train), set(), [inputs, run, self, inputs.train, run.supervision]
        while todo:
            item = todo.pop()
            if id(item) in seen or isinstance(item, str | bytes | int | float | type | None):
                continue
            seen.add(id(item))
            if isinstance(item, Tensor | np.ndarray) and looks_like_labels(np.asarray(item), n):
                return item
            todo += list(getattr(item, "__dict__", {}).values())
            todo += list(item.values()) if isinstance(item, dict) else list(item) if isinstance(item, list | tuple | set) else []
            todo += [cell.cell_contents for cell in getattr(item, "__closure__", None) or ()]
            todo += [getattr(item, "__self__", None)]
        return None


def looks_like_labels(array, n):
    """Whether an array holds n integers of 2 to 20 values."""
    return array.shape == (n,) and array.dtype.kind in "iu" and 2 <= len(np.unique(array)) <= 20
