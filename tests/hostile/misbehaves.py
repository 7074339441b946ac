"""Does what no method should, one thing at a time, and then assigns every row to a cluster in turn."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from dataclasses import dataclass

import numpy as np
import torch

from methods.base import Card, Method


@dataclass
class Misbehaves(Method):
    """way: what it does. place: where it writes, for the ways that write elsewhere."""

    card = Card(title="Misbehaves", authors="tests", year=2026, told={"k"})
    way: str = ""
    place: str = ""

    def fit(self, inputs, k, run):
        """Misbehaves first."""
        getattr(self, self.way)()
        self.labels = torch.arange(len(inputs.train)) % k

    def ignores_sigterm(self):
        """Only SIGKILL ends it."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        time.sleep(600)

    def leaves_a_daemon(self):
        """A grandchild in a session of its own, its parent gone."""
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(600)
            os._exit(0)
        os.wait()

    def leaves_a_hydra(self):
        """A process that forks itself anew every millisecond and dies, in ever new sessions."""
        if os.fork() == 0:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                time.sleep(0.001)
                if os.fork():
                    os._exit(0)
                os.setsid()
            os._exit(0)
        time.sleep(0.2)

    def writes_outside(self):
        """Makes a file where it has no business."""
        with open(self.place, "w") as stream:
            stream.write("I was here")

    def hides_its_writing(self):
        """The same, by every way at hand, without a word."""
        own = os.path.abspath("own")
        with open(own, "w") as stream:
            stream.write("mine")
        os.symlink(self.place, "link")
        for change in (
            lambda: open("link", "w"),  # noqa: SIM115
            lambda: os.open(self.place, os.O_WRONLY | os.O_CREAT),
            lambda: os.rename(own, self.place),
            lambda: os.link(own, self.place),
            lambda: os.symlink(own, self.place),
            lambda: os.mkdir(self.place),
            lambda: os.remove(__file__),
            lambda: os.truncate(__file__, 0),
        ):
            with contextlib.suppress(PermissionError):
                change()

    def prints_a_gigabyte(self):
        """And a last word."""
        chunk = "all work and no play " * 800_000
        for _ in range(64):
            sys.stdout.write(chunk)
        print("the last word", flush=True)

    def fills_its_folder(self):
        """File after file."""
        for number in range(4000):
            with open(f"{number}.bin", "wb") as stream:
                stream.write(bytes(2**20))
        time.sleep(600)

    def changes_global_state(self):
        """Whatever a process has one of."""
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(99)
        torch.set_num_threads(1 + torch.get_num_threads())
        torch.use_deterministic_algorithms(True)
        np.random.seed(99)
        random.seed(99)
        os.environ.clear()
        os.umask(0o777)
        os.chdir("/")
        sys.path.clear()
        sys.setrecursionlimit(200)

    def closes_descriptors(self):
        """All of them, its log included."""
        os.closerange(0, 4096)

    def closes_descriptors_and_fails(self):
        """With no log to write the traceback to."""
        os.closerange(0, 4096)
        raise RuntimeError("nobody hears me")

    def kills_its_parent(self):
        """The process that forked it."""
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)

    def stops_its_parent(self):
        """The process that forked it doesn't answer any more."""
        os.kill(os.getppid(), signal.SIGSTOP)
        time.sleep(600)

    def removes_its_folder(self):
        """The one it works in."""
        import shutil

        shutil.rmtree(os.getcwd())

    def exits(self):
        """As a script does."""
        sys.exit(0)

    def tries_and_leaves(self):
        """Reaches for a label and leaves before anyone can write it down."""
        self._try()
        os._exit(0)

    def tries_and_sleeps(self):
        """Reaches for a label in a forked child, and sleeps past its limit."""
        if os.fork() == 0:
            self._try()
            os._exit(0)
        time.sleep(600)

    def _try(self):
        with contextlib.suppress(PermissionError), open(self.place):
            pass
