"""Has another program read a label file whose place it knows."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass

import numpy as np
import torch

from methods.base import Card, Method


@dataclass
class RunsCommands(Method):
    """Commands have no hook of their own."""

    card = Card(title="RunsCommands", authors="tests", year=2026, told={"k"})
    folder: str = ""  # the folder with y.npy in it; the test says which
    way: str = "cat"

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
        path, mine = os.path.join(self.folder, "y.npy"), os.path.join(tempfile.mkdtemp(), "mine.npy")
        if self.way == "cat":
            content = subprocess.run(["cat", path], capture_output=True, check=True).stdout
            return np.frombuffer(content[128:], np.int64)
        if self.way == "shell":
            os.system(f"cp '{path}' '{mine}'")
        elif self.way == "shell_in_folder":
            subprocess.run(f"cp y.npy '{mine}'", shell=True, cwd=self.folder, check=True)
        elif self.way == "python":
            subprocess.run([sys.executable, "-c", f"import shutil; shutil.copy({path!r}, {mine!r})"], check=True)
        elif self.way == "spawn":
            os.waitpid(os.posix_spawn("/bin/cp", ["cp", path, mine], os.environ), 0)
        return np.load(mine)
