"""Files written whole or not at all, hashed, and read without ever unpickling."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import psutil

_CHUNK = 1 << 20
FORGOTTEN_SECONDS = 14 * 24 * 3600


def sha256(*parts: bytes | memoryview) -> str:
    """Hex SHA-256 of the parts, one after another."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def sha256_array(array: np.ndarray) -> str:
    """Hex SHA-256 of an array: its dtype, its shape and its bytes in C order."""
    head = f"{array.dtype.str}{array.shape}".encode()
    return sha256(head, np.ascontiguousarray(array).data.cast("B") if array.size else b"")


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def rounded(value: Any, digits: int) -> Any:
    """Floats to `digits` significant digits, all through a JSON value; NaN and infinities become None."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if np.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item, digits) for item in value]
    return value


def canonical_json(value: Any, *, digits: int = 6) -> str:
    """The one way a value is written as JSON: sorted keys, floats to `digits` significant digits, a final newline."""
    return json.dumps(rounded(value, digits), sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


@cache
def _host() -> str:
    return sha256(platform.node().encode())[:8]


def scratch_name(name: str) -> str:
    """A temporary name beside `name` that says which process of which machine owns it."""
    return f".{name}.{_host()}.{os.getpid()}.{uuid.uuid4().hex[:8]}.part"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path (file or folder); on success it takes the place of `path`, on failure nothing stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(scratch_name(path.name))
    try:
        yield part
        if part.is_dir() and path.is_dir():
            shutil.rmtree(path)
        part.replace(path)
    finally:
        remove(part)


def remove(path: Path) -> None:
    """Removes a file or a folder; that it is not there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def _alive(pid: int) -> bool:
    """Whether a process of this machine is at work; one that ended and that nobody has asked for yet isn't."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def sweep(folder: Path) -> int:
    """Removes what processes that are gone left half-written anywhere below `folder`; returns how many.

    Machines may share a folder: of another one's processes nobody here knows whether they live, so what is theirs goes
    only when nothing wrote to it for a long time.
    """
    count = 0
    for part in list(folder.rglob(".*.part")) if folder.is_dir() else []:
        *_, host, owner, _, _ = ("", "", *part.name.split("."))
        with contextlib.suppress(FileNotFoundError):
            here = host == _host()
            gone = owner.isdigit() and not _alive(int(owner))
            if gone if here else time.time() - part.stat().st_mtime > FORGOTTEN_SECONDS:
                remove(part)
                count += 1
    return count


def load_array(path: Path, *, mmap: bool = False) -> np.ndarray:
    """Reads one `.npy` file; refuses pickles. mmap: pages come as they are used; what is written to them stays in memory."""
    return np.load(path, mmap_mode="c" if mmap else None, allow_pickle=False)
