"""Returns what the contract forbids."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from methods.base import Card, Method


@dataclass
class GivesWrongShapes(Method):
    """One offence at a time."""

    card = Card(title="GivesWrongShapes", authors="tests", year=2026, told={"k"})
    offence: str = "short"

    def fit(self, inputs, k, run):
        """Nothing is learned."""
        self._k = k

    def assign(self, x):
        """[n] int64, unless that is the offence."""
        return {
            "short": torch.zeros(len(x) - 1, dtype=torch.int64),
            "columns": torch.zeros(len(x), 1, dtype=torch.int64),
            "floats": torch.zeros(len(x)),
            "negative": torch.full((len(x),), -2),
        }.get(self.offence, torch.arange(len(x)) % self._k)

    def embed(self, x):
        """[n, 2] float32, unless that is the offence."""
        return torch.zeros(3, 2) if self.offence == "rows" else torch.zeros(len(x), 2)

    def assign_soft(self, x):
        """[n, k] whose rows sum to 1, unless that is the offence."""
        return torch.full((len(x), self._k), 2.0 if self.offence == "sums" else 1 / self._k)
