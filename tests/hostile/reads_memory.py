"""Looks through the whole process for n integers with few values: objects, modules, frames."""

from __future__ import annotations

import contextlib
import gc
import sys
from dataclasses import dataclass

import numpy as np
import torch

from methods.base import Card, Method


@dataclass
class ReadsMemory(Method):
    """What the server opened before the fork would still be here."""

    card = Card(title="ReadsMemory", authors="tests", year=2026, told={"k"})

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
        frame, scopes = sys._getframe(), [vars(module) for module in list(sys.modules.values()) if module is not None]
        while frame is not None:
            scopes += [frame.f_locals, frame.f_globals]
            frame = frame.f_back
        items = [item for scope in scopes for item in list(scope.values())]
        for item in [*items, *gc.get_objects(), *(inner for outer in gc.get_objects() for inner in gc.get_referents(outer))]:
            if type(item) in (np.ndarray, torch.Tensor, list, bytes, memoryview):
                found = as_labels(item, len(inputs.train))
                if found is not None:
                    return found
        return None


def as_labels(item, n):
    """The item as labels, where it is n integers of 2 to 20 values."""
    if type(item) is bytes and len(item) in (8 * n, 8 * n + 128):
        item = np.frombuffer(item[-8 * n :], np.int64)
    if type(item) is list and (len(item) != n or not all(type(value) is int for value in item)):
        return None
    array = np.asarray(item)
    if array.shape != (n,) or array.dtype.kind not in "iu":
        return None
    return array if 2 <= len(np.unique(array)) <= 20 else None
