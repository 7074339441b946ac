"""Claims: of several processes, one at a time. The system keeps them, so a claim ends with its process, however that ends."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.2
_TAKEN = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


@contextmanager
def claim(path: Path, *, waits: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Holds what `path` stands for, alone among processes and threads, until the block ends.

    waits: called again and again while another one holds it; it may raise. The file is removed at the end. On a file system
    without locks nothing is held.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _open(path)
    try:
        while not (_lock(descriptor) and _is_still(path, descriptor)):
            if not _is_still(path, descriptor):  # its holder removed the file: the claim is now made on a new one
                os.close(descriptor)
                descriptor = _open(path)
                continue
            waits()
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _is_still(path: Path, descriptor: int) -> bool:
    """Whether the path still names the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _lock(descriptor: int) -> bool:
    """Takes the lock of an open file; False where another one has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        if error.errno not in _NO_LOCKS_HERE:
            raise
    return True
