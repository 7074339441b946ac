"""Leaves the process in the middle of its fit."""

from __future__ import annotations

import os
from dataclasses import dataclass

from methods.base import Card, Method


@dataclass
class Leaves(Method):
    """No exception, no output."""

    card = Card(title="Leaves", authors="tests", year=2026, told={"k"})
    code: int = 0

    def fit(self, inputs, k, run):
        """Leaves."""
        os._exit(self.code)
