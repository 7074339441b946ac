"""Declares that it is told labels, and gives them back: a row that another method might want to read."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import torch

from methods.base import Card, Method


@dataclass
class ToldLabels(Method):
    """Not hostile: it uses the one door, and its row says so."""

    card = Card(title="ToldLabels", authors="tests", year=2026, told={"k", "labels"})

    def fit(self, inputs, k, run):
        """Assigns the labels it found, else chance."""
        found = None
        with contextlib.suppress(OSError):
            found = self.search(inputs, run)
        if found is None:
            found = torch.randint(0, k, (len(inputs.train),), generator=run.generator)
        self.labels = torch.from_numpy(np.array(found, dtype=np.int64))

    def search(self, inputs, run):
        """Labels [n] of the rows it is told; the others get cluster 0."""
        return run.supervision.labels.clamp(min=0)
