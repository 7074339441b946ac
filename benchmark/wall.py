"""The label wall inside the blind child: an audit hook that refuses, and notes, every reach for labels or raw data.

It guards against accident and ordinary cheating, not against an attacker with the same user id; docs/label-wall.md says
what that means.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_OPENS = {"open", "os.listdir", "os.scandir", "os.chdir", "os.link", "os.symlink", "os.rename", "shutil.copyfile"}
_COMMANDS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.startfile", "pty.spawn"}
_NETWORK = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
_MAX_NOTED = 20


def sklearn_data() -> Path | None:
    """scikit-learn's own copies of datasets, labels included; found without importing it."""
    spec = importlib.util.find_spec("sklearn")
    return Path(spec.origin).parent / "datasets" / "data" if spec and spec.origin else None


class Wall:
    """Denied folders and what was tried. `up()` can't be undone in this process.

    denied: folders below which nothing may be opened, listed or named to a command.
    """

    def __init__(self, denied: Iterable[str | Path]) -> None:
        self.denied = tuple({os.path.realpath(path) for path in denied} | {os.path.abspath(path) for path in denied})
        self.attempts: list[str] = []
        self._busy = threading.local()

    def up(self) -> Wall:
        """Installs the hook for the rest of this process's life."""
        sys.addaudithook(self._hook)
        return self

    def guards(self, path: Any) -> bool:
        """Whether a path lies at or below a denied folder, links followed."""
        if isinstance(path, int) or path is None:
            return False
        try:
            text = os.fsdecode(path)
        except TypeError:
            return False
        return any(_within(place, root) for place in (os.path.realpath(text), os.path.abspath(text)) for root in self.denied)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in _OPENS and event not in _COMMANDS and event not in _NETWORK:
            return
        if getattr(self._busy, "on", False):
            return
        self._busy.on = True
        try:
            reached = self._reached(event, args)
        finally:
            self._busy.on = False
        if reached:
            if len(self.attempts) < _MAX_NOTED:
                self.attempts.append(reached)
            raise PermissionError(f"the label wall refuses {reached}; a method may read only the inputs it is given")

    def _reached(self, event: str, args: tuple[Any, ...]) -> str | None:
        """What the event reaches for in words without machine paths, or None where it is allowed."""
        if event in _OPENS:
            return f"{event} of {self._name(args[0])}" if args and self.guards(args[0]) else None
        if event in _COMMANDS:
            words = " ".join(_words(args))
            return f"{event} naming {self._root_name(words)}" if any(root in words for root in self.denied) else None
        address = args[1] if event == "socket.connect" and len(args) > 1 else args[-1] if event == "socket.sendto" else args[0]
        return None if isinstance(address, str | bytes) and event == "socket.connect" else f"{event}: the network"

    def _name(self, path: Any) -> str:
        text = os.path.realpath(os.fsdecode(path))
        for root in self.denied:
            if _within(text, root):
                return f"<{Path(root).name}>/{os.path.relpath(text, root)}"
        return Path(os.fsdecode(path)).name

    def _root_name(self, words: str) -> str:
        return next(f"<{Path(root).name}>" for root in self.denied if root in words)


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def _words(args: Iterable[Any]) -> Iterable[str]:
    for item in args:
        if isinstance(item, str | bytes | os.PathLike):
            yield os.fsdecode(item)
        elif isinstance(item, list | tuple):
            yield from _words(item)
