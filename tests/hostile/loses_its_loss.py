"""Logs a loss that becomes NaN in its second epoch."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from methods.base import Card, Method


@dataclass
class LosesItsLoss(Method):
    """The guard is in `run.epochs`."""

    card = Card(title="LosesItsLoss", authors="tests", year=2026, told={"k"})

    def fit(self, inputs, k, run):
        """Ten epochs, of which two are run."""
        for epoch in run.epochs(10, snapshots=False):
            run.log(loss=torch.tensor(1.0 if epoch == 0 else float("nan")))
        self.labels = torch.zeros(len(inputs.train), dtype=torch.int64)
