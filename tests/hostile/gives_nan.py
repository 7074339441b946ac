"""Returns embeddings that are not finite."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from methods.base import Card, Method


@dataclass
class GivesNan(Method):
    """Three rows of them."""

    card = Card(title="GivesNan", authors="tests", year=2026, told={"k"})

    def fit(self, inputs, k, run):
        """Nothing is learned."""

    def embed(self, x):
        """[n, 4] with three NaN."""
        code = torch.zeros(len(x), 4)
        code[:3, 1] = float("nan")
        return code
