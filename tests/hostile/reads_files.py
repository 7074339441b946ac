"""Reads a label file whose place it knows, in every way Python has of opening a file."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from methods.base import Card, Method


@dataclass
class ReadsFiles(Method):
    """Each way alone would do."""

    card = Card(title="ReadsFiles", authors="tests", year=2026, told={"k"})
    folder: str = ""  # the folder with y.npy in it; the test says which
    way: str = "open"

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
        return {name: getattr(self, f"by_{name}") for name in WAYS}[self.way](Path(self.folder) / "y.npy")

    def by_open(self, path):
        """The builtin."""
        with open(path, "rb") as stream:
            return np.load(stream)

    def by_pathlib(self, path):
        """Path.read_bytes."""
        return array(path.read_bytes())

    def by_numpy(self, path):
        """A memory map."""
        return np.load(str(path), mmap_mode="r")

    def by_descriptor(self, path):
        """os.open and os.read."""
        descriptor = os.open(os.fsencode(path), os.O_RDONLY)
        return array(os.read(descriptor, 1 << 22))

    def by_folder_descriptor(self, path):
        """A name relative to an open folder far above, which the hook sees as a name alone."""
        descriptor = os.open(path.parents[3], os.O_RDONLY)
        return array(os.read(os.open(path.relative_to(path.parents[3]), os.O_RDONLY, dir_fd=descriptor), 1 << 22))

    def by_listing(self, path):
        """The first file that a listing of the folder shows."""
        with os.scandir(path.parent) as entries:
            return np.load(next(entry.path for entry in entries if entry.name == "y.npy"))

    def by_symbolic_link(self, path):
        """A link in its own temporary folder to a folder far above; making it is fine, reading through it is not."""
        link = Path(tempfile.mkdtemp()) / "mine"
        link.symlink_to(path.parents[3], target_is_directory=True)
        return np.load(link / path.relative_to(path.parents[3]))

    def by_hard_link(self, path):
        """A second name of the file, in its own temporary folder."""
        mine = Path(tempfile.mkdtemp()) / "mine.npy"
        os.link(path, mine)
        return np.load(mine)

    def by_copy(self, path):
        """A copy in its own temporary folder."""
        return np.load(shutil.copy(path, tempfile.mkdtemp()))

    def by_working_folder(self, path):
        """A name relative to the working folder."""
        os.chdir(path.parents[3])
        return np.load(path.relative_to(path.parents[3]))


WAYS = (
    "open",
    "pathlib",
    "numpy",
    "descriptor",
    "folder_descriptor",
    "listing",
    "symbolic_link",
    "hard_link",
    "copy",
    "working_folder",
)


def array(content):
    """The int64 labels at the end of an .npy file's bytes."""
    return np.frombuffer(content[128:], np.int64)
