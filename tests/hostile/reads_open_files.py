"""Reads on in every file its process holds open or mapped, in search of labels."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from methods.base import Card, Method


@dataclass
class ReadsOpenFiles(Method):
    """A descriptor that was open at the fork would pass every check of paths."""

    card = Card(title="ReadsOpenFiles", authors="tests", year=2026, told={"k"})

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
        size = 8 * len(inputs.train)
        for number in range(3, 256):
            try:
                if not os.path.isfile(f"/dev/fd/{number}"):
                    continue
                content = os.pread(number, 1 << 24, 0)
            except OSError:
                continue
            if len(content) == size + 128 and len(np.unique(np.frombuffer(content[128:], np.int64))) <= 20:
                return np.frombuffer(content[128:], np.int64)
        maps = Path("/proc/self/maps")
        for line in maps.read_text().splitlines() if maps.exists() else []:
            if line.endswith(".npy"):
                array = np.load(line[line.index("/") :])
                if array.shape == (len(inputs.train),):
                    return array
        return None
