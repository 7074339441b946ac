"""Loads scikit-learn's copy of the digits, labels included, and looks its own rows up in it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import numpy as np
import torch

from methods.base import Card, Method


@dataclass
class AsksSklearn(Method):
    """The order of rows does not protect labels whose images are at hand."""

    card = Card(title="AsksSklearn", authors="tests", year=2026, told={"k"})

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
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        known = {np.rint(image * 255 / 16).astype(np.uint8).tobytes(): label for image, label in zip(images, labels, strict=True)}
        return [known[image.numpy().tobytes()] for image in inputs.train]
