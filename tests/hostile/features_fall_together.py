"""Says of itself that its features have fallen together."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from methods.base import Card, Method


@dataclass
class FeaturesFallTogether(Method):
    """A collapse that its clusters don't show."""

    card = Card(title="FeaturesFallTogether", authors="tests", year=2026, told={"k"})

    def fit(self, inputs, k, run):
        """k clusters, and a flag."""
        self.labels = torch.arange(len(inputs.train)) % k
        run.flag("collapsed_features")
