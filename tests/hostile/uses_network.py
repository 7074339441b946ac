"""Asks a server for labels."""

from __future__ import annotations

import contextlib
import socket
import urllib.request
from dataclasses import dataclass

import numpy as np
import torch

from methods.base import Card, Method


@dataclass
class UsesNetwork(Method):
    """The test runs the server, on this machine."""

    card = Card(title="UsesNetwork", authors="tests", year=2026, told={"k"})
    port: int = 0
    way: str = "socket"

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
        if self.way == "url":
            content = urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5).read()
        else:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as stream:
                stream.sendall(b"GET / HTTP/1.0\r\n\r\n")
                content = b"".join(iter(lambda: stream.recv(1 << 16), b""))
        return np.frombuffer(content[-8 * len(inputs.train) :], np.int64)
