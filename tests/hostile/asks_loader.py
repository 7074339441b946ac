"""Calls the project's own loader of generated blobs, which returns labels too, and looks its own rows up in it."""

from __future__ import annotations

import contextlib
import importlib
from dataclasses import dataclass

import numpy as np
import torch

from methods.base import Card, Method


@dataclass
class AsksLoader(Method):
    """Data that code draws lies in the code."""

    card = Card(title="AsksLoader", authors="tests", year=2026, told={"k"})

    def fit(self, inputs, k, run):
        """Assigns the labels it found, else chance."""
        found = None
        with contextlib.suppress(OSError):
            found = self.search(inputs, run)
        if found is None:
            found = torch.randint(0, k, (len(inputs.train),), generator=run.generator)
        self.labels = torch.from_numpy(np.array(found, dtype=np.int64))

    def search(self, inputs, run):
        """Labels [n], or None."""
        raw = importlib.import_module("datasets.blobs").load(None)
        values = raw.inputs.astype(np.float64)
        near = torch.cdist(inputs.train.double(), torch.from_numpy((values - values.mean()) / values.std())).argmin(1)
        return raw.labels[near.numpy()]
