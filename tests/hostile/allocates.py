"""Takes memory without end."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from methods.base import Card, Method


@dataclass
class Allocates(Method):
    """Touches every page, and then waits to be found."""

    card = Card(title="Allocates", authors="tests", year=2026, told={"k"})

    def fit(self, inputs, k, run):
        """Takes 1 GiB more than it has, in steps."""
        held = []
        for _ in range(64):
            held.append(torch.ones(2**22))
            time.sleep(0.02)
        time.sleep(600)
