"""Has a child process use the processor, and waits for it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from methods.base import Card, Method


@dataclass
class BurnsInAChild(Method):
    """Its own processor time stays near nothing."""

    card = Card(title="BurnsInAChild", authors="tests", year=2026, told={"k"})

    def fit(self, inputs, k, run):
        """Waits for a child that never ends."""
        subprocess.run([sys.executable, "-c", "while True: pass"], check=False)
