"""Chance: each row gets a cluster by a fair die. The floor of every board."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from datasets.base import Inputs
from methods.base import Card, Method
from methods.run import Run


@dataclass
class Chance(Method):
    """Uniformly random labels; it has no embedding."""

    card = Card(
        title="Chance",
        authors="BlindBench",
        year=2026,
        bound=True,
        told={"k"},
        schedule="one draw",
    )

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Keeps k and the die's seed."""
        self._k, self._seed = k, run.integer()

    def assign(self, x: Tensor) -> Tensor:
        """One throw for every row: [n] int64; the same again for the same number of rows."""
        return torch.randint(0, self._k, (len(x),), generator=torch.Generator().manual_seed(self._seed))
