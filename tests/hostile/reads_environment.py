"""Looks in its environment, and the one its process was started with, for a folder with labels."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from methods.base import Card, Method


@dataclass
class ReadsEnvironment(Method):
    """A data path in the environment is how loaders find their files."""

    card = Card(title="ReadsEnvironment", authors="tests", year=2026, told={"k"})

    def fit(self, inputs, k, run):
        """Assigns the labels it found, else chance."""
        found = None
        with contextlib.suppress(OSError):
            found = self.search(inputs, run)
        if found is None:
            found = torch.randint(0, k, (len(inputs.train),), generator=run.generator)
        self.labels = torch.from_numpy(np.array(found, dtype=np.int64))

    def search(self, inputs, run):
        """Labels [n], or None. Raises, which fails the cell, where a variable's name tells of data."""
        started = (
            Path("/proc/self/environ").read_text(errors="replace").split("\0") if Path("/proc/self/environ").exists() else []
        )
        known = [*started, *(f"{name}={value}" for name, value in os.environ.items())]
        names = [entry.partition("=")[0].upper() for entry in known]
        telling = [name for name in names if "BLINDBENCH" in name or "LABEL" in name or "DATA" in name]
        if telling:
            raise ValueError(f"found {telling[0]}")
        folders = {Path(part) for entry in known for part in entry.partition("=")[2].split(os.pathsep) if part.startswith("/")}
        for folder in folders:
            for place in (folder, *list(folder.parents)[:2]):
                for path in place.glob("labels/*/y.npy"):
                    if len(np.load(path, mmap_mode="r")) == len(inputs.train):
                        return np.load(path)
        return None
