"""Uses more clusters than it was told."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from methods.base import Card, Method


@dataclass
class BeyondK(Method):
    """Every row is a cluster of its own, which makes purity 1."""

    card = Card(title="Beyond k", authors="tests", year=2026, told={"k"}, tracks={"transductive"})

    def fit(self, inputs, k, run):
        """Numbers the rows."""
        self.labels = torch.arange(len(inputs.train))
