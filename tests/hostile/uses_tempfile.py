"""Fails unless Python's temporary folder lies in the cell's own."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass

import torch

from methods.base import Card, Method


@dataclass
class UsesTempfile(Method):
    """home: where cells' temporary folders lie."""

    card = Card(title="Uses tempfile", authors="tests", year=2026, told={"k"}, tracks={"transductive"})
    home: str = ""

    def fit(self, inputs, k, run):
        """Writes a temporary file and looks where it is."""
        with tempfile.NamedTemporaryFile() as stream:
            if not os.path.realpath(stream.name).startswith(os.path.realpath(self.home)):
                raise RuntimeError("the temporary folder is another's")
        self.labels = torch.arange(len(inputs.train)) % k
