"""Reads the assignments of another cell, which was told labels, in the cache or beside its record."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from methods.base import Card, Method


@dataclass
class ReadsOutputs(Method):
    """Outputs and records lie next to one's own."""

    card = Card(title="ReadsOutputs", authors="tests", year=2026, told={"k"})
    path: str = ""  # the file with the other's assignments; the test says which

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
        found = np.load(Path(self.path))
        return found["assign"] if self.path.endswith(".npz") else found
