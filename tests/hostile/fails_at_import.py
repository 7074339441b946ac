"""Can't be imported."""

from __future__ import annotations

from dataclasses import dataclass

from methods.base import Card, Method

raise RuntimeError("not today")


@dataclass
class FailsAtImport(Method):
    """Its card can be read all the same."""

    card = Card(title="FailsAtImport", authors="tests", year=2026, told={"k"})

    def fit(self, inputs, k, run):
        """Never reached."""
