"""Where things lie: the cache (prepared data, outputs, code) and the results (records, packed assignments).

Everything is written whole or not at all. Old record schemas load for ever.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.ground.errors import UserError
from benchmark.ground.files import canonical_json, remove, replacing, sweep, write_text

ROOT = Path(__file__).resolve().parent.parent
PROTOCOL = "v1"
SCHEMA = 1
OUTPUTS_CAP_GIB = 20.0
STATES = ("ok", "failed", "timeout", "out_of_memory", "diverged", "not_applicable", "missing")
_SLUG = re.compile(r"[a-z0-9][a-z0-9_.-]{0,79}")


def cache_root() -> Path:
    """`$BLINDBENCH_CACHE`, or the user's cache folder."""
    given = os.environ.get("BLINDBENCH_CACHE")
    if given:
        return Path(given).expanduser().resolve()
    import platformdirs

    return Path(platformdirs.user_cache_dir("blindbench", appauthor=False))


def data_folder(given: Path | None) -> Path | None:
    """`--data` or `$BLINDBENCH_DATA`; UserError where it names no folder."""
    named = str(given) if given else os.environ.get("BLINDBENCH_DATA")
    if not named:
        return None
    path = Path(named).expanduser().resolve()
    if not path.is_dir():
        raise UserError(f"the data folder {named!r} is not there; give an existing folder by --data or BLINDBENCH_DATA")
    return path


@dataclass(frozen=True)
class Cache:
    """The folders of the cache. inputs and outputs are open to the blind side, labels and raw are not."""

    root: Path

    @property
    def inputs(self) -> Path:
        """Prepared inputs, under content-addressed names."""
        return self.root / "inputs"

    @property
    def labels(self) -> Path:
        """Prepared labels, under content-addressed names, and the index that joins them to inputs."""
        return self.root / "labels"

    @property
    def raw(self) -> Path:
        """Official files as downloaded."""
        return self.root / "raw"

    @property
    def outputs(self) -> Path:
        """What fits wrote, one folder a fit fingerprint."""
        return self.root / "outputs"

    @property
    def code(self) -> Path:
        """Snapshots of the code, so that nobody's editing reaches a running sweep."""
        return self.root / "code"

    @property
    def scratch(self) -> Path:
        """Homes and temporary folders of running cells."""
        return self.root / "scratch"

    def tidy(self, cap_gib: float = OUTPUTS_CAP_GIB) -> None:
        """Removes what dead processes left half-written, and the oldest embeddings above the size cap."""
        for folder in (self.inputs, self.labels, self.raw, self.outputs, self.code, self.scratch):
            sweep(folder)
        sizes: dict[Path, os.stat_result] = {}
        for path in self.outputs.glob("[!.]*/*"):
            with contextlib.suppress(FileNotFoundError):  # another run may be at work here
                sizes[path] = path.stat()
        total = sum(stat.st_size for stat in sizes.values())
        embeddings = [path for path in sizes if path.name == "embedding.npy"]
        for path in sorted(embeddings, key=lambda path: sizes[path].st_mtime):
            if total <= cap_gib * 2**30:
                break
            total -= sizes[path].st_size
            path.unlink(missing_ok=True)

    def output(self, fingerprint: str) -> Path:
        """Where the outputs of a fit lie."""
        return self.outputs / fingerprint

    def whole(self, fingerprint: str) -> bool:
        """Whether all outputs of a fit are there; an embedding may have gone to keep the size cap."""
        folder = self.output(fingerprint)
        try:
            arrays = json.loads((folder / "fit.json").read_text(encoding="utf-8")).get("arrays", [])
        except (OSError, ValueError):
            return False
        return all((folder / f"{name}.npy").is_file() for name in arrays)


def slug(text: str, what: str) -> str:
    """The text, if it can be part of a path on every system; else UserError."""
    if not _SLUG.fullmatch(text) or ".." in text:
        raise UserError(
            f"{what} {text!r} can't be a name; allowed: a-z, 0-9, '_', '-', '.', at most 80, starting with a-z or 0-9"
        )
    return text


@dataclass(frozen=True)
class Results:
    """A folder of records: `records/<dataset>/<method>/<track>-<budget>-<variant>-s<seed>.json`, beside them assignments."""

    root: Path

    @classmethod
    def committed(cls) -> Results:
        """The tables of the repository."""
        return cls(ROOT / "results" / PROTOCOL)

    @classmethod
    def local(cls) -> Results:
        """What this machine measured when it reproduced."""
        return cls(ROOT / "results" / "local")

    def path(self, key: str) -> Path:
        """Where the record of a cell's key lies."""
        for part in key.split("/"):
            slug(part, "the cell's key")
        return self.root / "records" / f"{key}.json"

    def write(self, key: str, record: dict[str, Any], assignments: np.ndarray | None = None) -> None:
        """Writes a record and its packed assignments; the record comes last, so a record is always whole."""
        path = self.path(key)
        packed = path.with_suffix(".npz")
        if assignments is None:
            remove(packed)
        else:
            with replacing(packed) as part:
                part.write_bytes(pack(assignments))
        write_text(path, canonical_json(record))

    def read(self, key: str) -> dict[str, Any] | None:
        """The record of a key, or None."""
        path = self.path(key)
        return read_record(path) if path.is_file() else None

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every record with its key, in the order of keys."""
        folder = self.root / "records"
        for path in sorted(folder.rglob("*.json")):
            if not path.name.startswith("."):
                yield path.relative_to(folder).with_suffix("").as_posix(), read_record(path)

    def tidy(self) -> None:
        """Removes what dead processes left half-written."""
        sweep(self.root)


def read_record(path: Path) -> dict[str, Any]:
    """A record from its file; UserError for what is no record or comes from a later program."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        schema = record["schema"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a record ({error}); delete it and run its cell again") from None
    if not isinstance(schema, int) or schema > SCHEMA or record.get("state") not in STATES:
        raise UserError(f"{path} has schema {schema!r}, state {record.get('state')!r}; this program knows schemas up to {SCHEMA}")
    return record


def pack(assignments: np.ndarray) -> bytes:
    """Assignments ([n] int64, −1 noise) as a small compressed `.npz` with the one array `assign`."""
    low, high = (int(assignments.min()), int(assignments.max())) if assignments.size else (0, 0)
    small = next(t for t in (np.int8, np.int16, np.int32, np.int64) if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    stream = io.BytesIO()
    np.savez_compressed(stream, assign=assignments.astype(small))
    return stream.getvalue()
