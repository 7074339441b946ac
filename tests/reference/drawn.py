"""Small pictures that several tests train on."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from datasets.base import Inputs
from methods.base import Method
from methods.run import Run

K = 3


def strokes(n: int = 90) -> torch.Tensor:
    """Three kinds of strokes at random places: [n, 1, 12, 12] uint8."""
    drawn = torch.Generator().manual_seed(1)
    x = torch.zeros(n, 1, 12, 12, dtype=torch.uint8)
    for row, (top, left) in enumerate(torch.randint(1, 5, (n, 2), generator=drawn).tolist()):
        for step in range(7):
            across, down = ((step, 3), (3, step), (step, step))[row % K]
            x[row, 0, top + down, left + across] = 200
    return x


def train(method: Method, parts: Mapping[str, Method] | None = None, x: torch.Tensor | None = None) -> tuple[Method, Run]:
    """The method after its fit on x, by default the strokes, and its run."""
    run = Run(seed=0, parts=parts or {})
    torch.manual_seed(0)
    method.fit(Inputs("image", strokes() if x is None else x), K, run)
    return method, run
