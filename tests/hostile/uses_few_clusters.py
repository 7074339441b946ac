"""Uses two clusters, whatever k is."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from methods.base import Card, Method


@dataclass
class UsesFewClusters(Method):
    """A collapse, not a failure."""

    card = Card(title="UsesFewClusters", authors="tests", year=2026, told={"k"})

    def fit(self, inputs, k, run):
        """Halves the rows."""
        self.labels = torch.arange(len(inputs.train)) % 2
