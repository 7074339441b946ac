"""Files that lie unpacked in a folder, or in the official archive that they come in."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets.source import Source


def bodies(
    source: Source, files: Mapping[str, str], paths: Sequence[str], archive: str, url: str
) -> Iterator[tuple[Path, bytes]]:
    """Of each path in turn (where it lies, its bytes), checksums verified; unpacked where all of them are, else from the archive.

    files: checksum by path, of the paths and of the archive, whose members have the same paths.
    """
    there = [source.has(path) for path in paths]
    if all(there):
        for found in [source.find(path, checksum=files[path]) for path in paths]:
            yield found, _read(source, found)
        return
    if any(there) and not source.has(archive) and not source.download:
        absent = paths[there.index(False)]
        source.find(absent, checksum=files[absent], urls=[url])  # raises, since it is absent
    found = source.find(archive, checksum=files[archive], urls=[url])
    with source.reading(found):
        members = _members(found, {path: files[path] for path in paths})
    yield from ((found, members[path]) for path in paths)


def _read(source: Source, path: Path) -> bytes:
    with source.reading(path):
        return path.read_bytes()


def _members(path: Path, wanted: Mapping[str, str]) -> dict[str, bytes]:
    """The wanted members of a tar archive, in one pass that ends with the last of them: a packed archive can't go back."""
    got: dict[str, bytes] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.name in wanted and member.isreg() else None
            if stream is None:
                continue
            data = stream.read()
            if f"md5:{hashlib.md5(data).hexdigest()}" != wanted[member.name]:
                raise ValueError(f"its member {member.name} has the wrong checksum")
            got[member.name] = data
            if len(got) == len(wanted):
                return got
    raise ValueError(f"it has no member {', '.join(sorted(set(wanted) - set(got)))}")
