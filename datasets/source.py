"""Where raw files come from: the user's data folder, then the cache, then the official download."""

from __future__ import annotations

import hashlib
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmark.ground.errors import MissingData, UserError

BROKEN = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    MemoryError,
    RuntimeError,  # a locked zip, JSON nested too deep, a way of packing nobody knows
    lzma.LZMAError,
    pickle.UnpicklingError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
BOUND = 4 << 30  # bytes of arrays in an archive, where nothing better is known


class Source:
    """The raw files of one dataset.

    data: the user's folder (`BLINDBENCH_DATA` or `--data`), in torchvision's layout. cache: the cache, whose folder
    `raw` holds downloads in the same layout. download: whether official addresses may be asked. name: for messages.
    bound: how many bytes of arrays an archive may hold.
    """

    def __init__(self, data: Path | None, cache: Path, download: bool = False, *, name: str = "NAME", bound: int = BOUND) -> None:
        self.data = Path(data) if data else None
        self.raw = Path(cache) / "raw"
        self.download = download
        self.name = name
        self.bound = bound

    @property
    def _roots(self) -> list[Path]:
        return [root for root in (self.data, self.raw) if root is not None]

    def has(self, path: str) -> bool:
        """Whether the file lies in the data folder or in the cache; says nothing of what is in it."""
        return any((root / path).is_file() for root in self._roots)

    def find(self, path: str, *, checksum: str = "", urls: Sequence[str] = ()) -> Path:
        """The file at `path` (relative, torchvision's layout), its checksum verified; MissingData where there is none.

        checksum: "md5:…" or "sha256:…"; "" for files whose arrays alone are checked. urls: official addresses, https only.
        """
        for root in self._roots:
            found = root / path
            if not found.is_file():
                continue
            if not found.resolve().is_relative_to(root.resolve()):
                raise self._error(f"the file {path} is a link out of {root}, which is refused; put the file itself there")
            wrong = _mismatch(found, checksum)
            if not wrong:
                return found
            if not (self.download and urls and root == self.raw):
                raise self.damaged(found, wrong)
        if self.download and urls:
            return self._fetch(path, checksum, urls)
        first = f"not in the data folder {self.data}" if self.data else "BLINDBENCH_DATA is not set"
        raise self._error(f"the file {path} is missing ({first}; not in the cache {self.raw})", fetchable=bool(urls))

    @contextmanager
    def reading(self, path: Path) -> Iterator[None]:
        """Turns whatever a parser raises on a bad file into one line of MissingData."""
        try:
            yield
        except MissingData:
            raise
        except BROKEN as error:
            raise self.damaged(path, " ".join(str(error).split()) or type(error).__name__) from error

    def damaged(self, path: Path, what: str) -> MissingData:
        """The error for a file that is there and wrong."""
        return self._error(f"the file {path} is damaged: {what}; remove it")

    def _error(self, what: str, *, fetchable: bool = True) -> MissingData:
        get = f"`uv run run_all.py data get {self.name}`, or " if fetchable else ""
        why = "" if fetchable else " (it has no download of its own; docs/data.md says what it holds)"
        return MissingData(f"dataset {self.name!r}: {what}; next: {get}set BLINDBENCH_DATA to a folder that has the file{why}")

    def _fetch(self, path: str, checksum: str, urls: Sequence[str]) -> Path:
        """Downloads from the first address that has it; only a whole, verified file moves to its place."""
        from datasets.parts import download

        for url in urls:
            download.require_https(url)
        target = self.raw / path
        target.parent.mkdir(parents=True, exist_ok=True)
        failures = []
        for url in urls:
            try:
                download.download(url, target, lambda found: _mismatch(found, checksum))
                return target
            except (download.Broken, OSError) as error:
                failures.append(f"{url}: {' '.join(str(error).split())}")
        raise self._error(f"the download of {path} failed ({'; '.join(failures)})")


def _mismatch(path: Path, checksum: str) -> str:
    """What is wrong with the file's checksum, or ""."""
    if not checksum:
        return ""
    kind, _, wanted = checksum.partition(":")
    if kind not in ("md5", "sha256") or not wanted:
        raise UserError(f"checksum {checksum!r} is not 'md5:…' or 'sha256:…'")
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, kind).hexdigest()
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    return "" if found == wanted else f"its {kind} is {found}, not {wanted}, so it is cut off or another file"
