"""Never ends."""

from __future__ import annotations

import time
from dataclasses import dataclass

from methods.base import Card, Method


@dataclass
class LoopsForEver(Method):
    """Waits without using the processor."""

    card = Card(title="LoopsForEver", authors="tests", year=2026, told={"k"})

    def fit(self, inputs, k, run):
        """Sleeps on."""
        while True:
            time.sleep(1)
