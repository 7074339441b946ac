"""Starts a child process and leaves it behind."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass

import torch

from methods.base import Card, Method


@dataclass
class LeavesAChild(Method):
    """The child is in the method's session, or in one of its own."""

    card = Card(title="LeavesAChild", authors="tests", year=2026, told={"k"})
    detached: bool = False
    seconds: float = 0.2

    def fit(self, inputs, k, run):
        """Starts a child that would live for ten minutes."""
        self.child = subprocess.Popen(["sleep", "600"], start_new_session=self.detached)
        time.sleep(self.seconds)
        self.labels = torch.arange(len(inputs.train)) % k
