"""Tables of numbers as text, a sample a line, as the UCI repository keeps them."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import numpy as np

from datasets.base import Raw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LIMIT = 1 << 28


def rows(text: bytes, width: int, separator: str | None = ",") -> list[list[str]]:
    """The fields of every line that isn't blank; ValueError where a line has another number of them, or there is no line."""
    found = []
    for number, line in enumerate(text.decode("ascii").splitlines(), 1):
        if line.strip():
            fields = line.split(separator)
            if len(fields) != width:
                raise ValueError(f"its line {number} holds {len(fields)} values, not {width}")
            found.append(fields)
    if not found:
        raise ValueError("it holds no line of values")
    return found


def numbers(fields: Sequence[Sequence[str]]) -> np.ndarray:
    """Fields as [n, d] float64; ValueError where one is no finite number."""
    table = np.array([[float(field) for field in row] for row in fields])
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0]
        raise ValueError(f"its value {fields[row][column]!r} is no finite number")
    return table


def classes(values: Sequence[str], first: int, count: int) -> np.ndarray:
    """Labels written as numbers `first`, `first` + 1, … (`count` of them), as [n] int64 from 0."""
    labels = np.array([float(value) for value in values]) - first
    if not np.isin(labels, range(count)).all():
        wrong = values[int(np.flatnonzero(~np.isin(labels, range(count)))[0])]
        raise ValueError(f"its label {wrong.strip()!r} does not lie in {first}..{first + count - 1}")
    return labels.astype(np.int64)


def joined(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]) -> Raw:
    """Train rows, then test rows, each (inputs [n, d] float64, labels [n])."""
    split = np.repeat(np.arange(2, dtype=np.int8), [len(train[1]), len(test[1])])
    return Raw(np.concatenate([train[0], test[0]]).astype(np.float32), np.concatenate([train[1], test[1]]), split)


def member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    """One member of a zip archive, read into memory; ValueError where it is absent or above 256 MiB."""
    if name not in archive.namelist():
        raise ValueError(f"{path.name} has no member {name!r}")
    with archive.open(name) as stream:
        body = stream.read(_LIMIT + 1)
    if len(body) > _LIMIT:
        raise ValueError(f"its member {name} is larger than {_LIMIT:,} bytes")
    return body
