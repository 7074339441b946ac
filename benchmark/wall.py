"""The label wall inside the blind child: an audit hook that refuses, and notes, every reach for labels or raw data.

It guards against accident and ordinary cheating, not against an attacker with the same user id; docs/label-wall.md says
what that means.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ATTEMPTS = "attempts.jsonl"  # where a child notes what was refused, as it happens
_OPENS = {"open", "os.listdir", "os.scandir", "os.chdir", "os.link", "os.symlink", "os.rename", "shutil.copyfile"}
_COMMANDS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.startfile", "pty.spawn"}
_NETWORK = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
_CHANGES = {"os.mkdir", "os.rmdir", "os.remove", "os.rename", "os.link", "os.symlink", "os.truncate", "os.chmod"}
_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MAX_NOTED = 20
_WATCHED = _OPENS | _CHANGES | _COMMANDS | _NETWORK
_REST_OF_PATH = re.compile(r"[^\s'\"`:;,|&<>()]*")


def sklearn_data() -> Path | None:
    """scikit-learn's own copies of datasets, labels included; found without importing it."""
    spec = importlib.util.find_spec("sklearn")
    return Path(spec.origin).parent / "datasets" / "data" if spec and spec.origin else None


class Wall:
    """Denied places and what was tried. `up()` can't be undone in this process.

    denied: folders (or files) at or below which nothing may be opened, listed or named to a command.
    allowed: exceptions below them. Of the places a path lies in, the innermost decides.
    writable: the only folders in which files may be made, changed or removed; None leaves that to the system.
    notes: a file to which each attempt is added as it happens, since a method may not live to its end.
    """

    def __init__(
        self,
        denied: Iterable[str | Path],
        allowed: Iterable[str | Path] = (),
        *,
        writable: Iterable[str | Path] | None = None,
        notes: Path | None = None,
    ) -> None:
        self.denied, self.allowed = _spellings(denied), _spellings(allowed)
        self.writable = None if writable is None else _spellings([*writable, "/dev"])
        self.notes = notes
        self.attempts: list[str] = []
        self._busy = threading.local()

    def up(self) -> Wall:
        """Installs the hook for the rest of this process's life."""
        sys.addaudithook(self._hook)
        return self

    def guards(self, path: Any) -> bool:
        """Whether a path lies at or below a denied place and in no allowed one within it, links followed."""
        return self._guarded_by(path) is not None

    def _guarded_by(self, path: Any) -> tuple[str, str] | None:
        """(denied place, the path inside it) of a guarded path, else None."""
        if isinstance(path, int) or path is None:
            return None
        try:
            text = os.fsdecode(path)
        except TypeError:
            return None
        for place in (os.path.realpath(text), os.path.abspath(text)):
            innermost = max((root for root in self.denied | self.allowed if _within(place, root)), key=len, default=None)
            if innermost in self.denied:
                return innermost, place
        return None

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in _WATCHED:
            return
        if getattr(self._busy, "on", False):
            return
        self._busy.on = True
        try:
            reached = self._reached(event, args)
            if reached and len(self.attempts) < _MAX_NOTED:
                self._note(reached)
        finally:
            self._busy.on = False
        if reached:
            raise PermissionError(
                f"the label wall refuses {reached}; a method may read only the inputs it is given, and write in its own folder"
            )

    def _note(self, reached: str) -> None:
        self.attempts.append(reached)
        if self.notes:
            with contextlib.suppress(OSError), open(self.notes, "a", encoding="utf-8", errors="replace") as stream:
                stream.write(json.dumps(reached) + "\n")

    def _reached(self, event: str, args: tuple[Any, ...]) -> str | None:
        """What the event reaches for in words without machine paths, or None where it is allowed."""
        if event in _OPENS:
            found = (self._guarded_by(args[0]) or self._holds_guarded(event, args)) if args else None
            return f"{event} of {_in_words(*found)}" if found else self._changed(event, args)
        if event in _CHANGES:
            return self._changed(event, args)
        if event in _COMMANDS:
            found = self._named(" ".join(_words(args)))
            return f"{event} naming {_in_words(*found)}" if found else None
        address = args[1] if event == "socket.connect" and len(args) > 1 else args[-1] if event == "socket.sendto" else args[0]
        return None if isinstance(address, str | bytes) and event == "socket.connect" else f"{event}: the network"

    def _changed(self, event: str, args: tuple[Any, ...]) -> str | None:
        """What the event would make, change or remove outside the writable folders, in words; None where that is allowed."""
        if self.writable is None:
            return None
        for place in _targets(event, args):
            compiled = "__pycache__" in Path(place).parts and any(_within(place, root) for root in self.allowed)
            if not compiled and not any(_within(place, root) for root in self.writable):
                roots = [root for root in self.denied | self.allowed if _within(place, root)]
                return f"{event} for writing of {_in_words(max(roots, key=len), place) if roots else _elsewhere(place)}"
        return None

    def _holds_guarded(self, event: str, args: tuple[Any, ...]) -> tuple[str, str] | None:
        """A folder opened as a descriptor with a denied place below it: what is opened relative to it shows no path."""
        if event != "open" or args[1] is not None or isinstance(args[0], int) or not os.path.isdir(args[0]):
            return None
        place = os.path.realpath(os.fsdecode(args[0]))
        return next(((root, root) for root in sorted(self.denied) if _within(root, place)), None)

    def _named(self, words: str) -> tuple[str, str] | None:
        """The first guarded path in the words of a command."""
        for root in self.denied:
            for start in (match.start() for match in re.finditer(re.escape(root), words)):
                end = start + len(root)
                found = self._guarded_by(words[start:end] + _REST_OF_PATH.match(words, end)[0])  # type: ignore[index]
                if found:
                    return found
        return None


def noted(folder: Path) -> list[str]:
    """The attempts that a child has noted in a folder, however it ended."""
    try:
        lines = (folder / ATTEMPTS).read_text(encoding="utf-8", errors="replace").splitlines()
        return [str(json.loads(line)) for line in lines[:_MAX_NOTED]]
    except (OSError, ValueError):
        return []


def _targets(event: str, args: tuple[Any, ...]) -> list[str]:
    """The places, links followed, that an event would write to; a name relative to an open folder shows no place."""
    if event == "open":
        return [os.path.realpath(os.fsdecode(args[0]))] if _is_path(args[0]) and args[2] & _TO_WRITE else []
    paths = {"os.symlink": args[1:2], "os.rename": args[:2], "os.link": args[:2]}.get(event, args[:1])
    folders = args[2:] if event in ("os.symlink", "os.rename", "os.link", "os.mkdir", "os.chmod") else args[1:]
    if event not in _CHANGES or (event != "os.truncate" and any(folder != -1 for folder in folders)):
        return []
    followed = event in ("os.truncate", "os.chmod")  # the others treat the link itself
    texts = [os.path.abspath(os.fsdecode(path)) for path in paths if _is_path(path)]
    return [
        os.path.realpath(text) if followed else os.path.join(os.path.realpath(os.path.dirname(text)), os.path.basename(text))
        for text in texts
    ]


def _is_path(value: Any) -> bool:
    return isinstance(value, str | bytes | os.PathLike)


def _elsewhere(path: str) -> str:
    return f"<elsewhere>/{os.path.basename(path)}"


def _spellings(paths: Iterable[str | Path]) -> frozenset[str]:
    """Each path as it is written and with its links followed."""
    return frozenset(spelt for path in paths for spelt in (os.path.realpath(path), os.path.abspath(path)))


def _in_words(root: str, path: str) -> str:
    """A guarded path without the machine's part: `<labels>/ab12/y.npy`."""
    inner = os.path.relpath(path, root)
    return f"<{Path(root).name}>" + ("" if inner == os.curdir else f"/{inner}")


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip(os.sep) + os.sep)


def _words(args: Iterable[Any]) -> Iterable[str]:
    for item in args:
        if isinstance(item, str | bytes | os.PathLike):
            yield os.fsdecode(item)
        elif isinstance(item, list | tuple):
            yield from _words(item)
