"""Kills its process in the middle of its fit."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from methods.base import Card, Method


@dataclass
class KillsItself(Method):
    """What the kernel does to a process that takes too much memory."""

    card = Card(title="KillsItself", authors="tests", year=2026, told={"k"})

    def fit(self, inputs, k, run):
        """Kills itself."""
        os.kill(os.getpid(), signal.SIGKILL)
