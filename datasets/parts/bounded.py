"""Packed files unpacked up to a bound: a few kilobytes may hold terabytes."""

from __future__ import annotations

import gzip
import io
from typing import IO

BOUND = 2 << 30  # bytes; the largest known is cifar100's archive of arrays, 184 MB
_CHUNK = 1 << 20


class Bounded(io.RawIOBase):
    """A stream that raises ValueError once it has given more than a bound of bytes."""

    def __init__(self, stream: IO[bytes], bound: int = BOUND) -> None:
        self._stream, self._bound, self._left = stream, bound, bound

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        """Fills a buffer, as `io.RawIOBase` asks."""
        data = self._stream.read(min(len(buffer), _CHUNK))
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f"it unpacks to more than {self._bound:,} bytes")
        buffer[: len(data)] = data
        return len(data)


def whole(stream: IO[bytes], bound: int = BOUND) -> bytes:
    """All bytes of a stream that unpacks as it is read; ValueError where they are more than the bound."""
    return Bounded(stream, bound).readall()


def gunzip(data: bytes, bound: int = BOUND) -> bytes:
    """The bytes in a gzip file's bytes; ValueError where they are more than the bound."""
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        return whole(stream, bound)
