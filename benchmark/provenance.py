"""What a record says of its making: code, fingerprints of scores, machine."""

from __future__ import annotations

import contextlib
import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import metrics
from benchmark.fingerprint import score_fingerprint, source_digest
from benchmark.ground.files import remove, scratch_name, sha256
from benchmark.plan import Cell
from benchmark.store import PROTOCOL, ROOT, Cache

CODE = ("benchmark", "methods", "datasets", "metrics")
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "faiss-cpu")


def score_fingerprints(fit: str, labels: str) -> dict[str, str]:
    """Today's fingerprint of every score of a fit."""
    sources = {name: metric_source(name) for name in metrics.names()}
    return {
        name: score_fingerprint(fit=fit, metric_source=source, protocol=PROTOCOL, labels=labels)
        for name, source in sources.items()
    }


@cache
def metric_source(name: str) -> str:
    """The hash of the code that decides a metric's value."""
    return source_digest(metrics.source_files(name))


@cache
def versions() -> dict[str, str]:
    """The versions of the packages that numbers come from."""
    return {package: metadata.version(package) for package in PACKAGES}


def environment(cell: Cell, threads: int) -> dict[str, Any]:
    """Where a cell ran."""
    return {
        "device": cell.device,
        "cpu": cpu_name(),
        "precision": cell.config.get("precision", "fp32"),
        "threads": threads,
        "python": platform.python_version(),
        "versions": versions(),
    }


@cache
def cpu_name() -> str:
    """The processor's name as the system gives it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def revision() -> tuple[str | None, bool]:
    """(commit, whether the code differs from it); (None, True) outside a git checkout. Only code counts."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(ROOT), *words]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--", *CODE, "run_all.py"))
    except (OSError, subprocess.CalledProcessError):
        return None, True


def code_address() -> str:
    """The hash of the code as it lies here now."""
    return _address(_code_files())


def _code_files() -> dict[str, bytes]:
    paths = sorted(
        path for room in CODE for path in (ROOT / room).rglob("*") if path.suffix in (".py", ".toml") and path.is_file()
    )
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}


def _address(files: dict[str, bytes]) -> str:
    return sha256(*[part for name, content in files.items() for part in (name.encode(), content)])[:32]


def snapshot_code(cache: Cache) -> Path:
    """A copy of the code under the hash of its content, so that nobody's editing reaches a running sweep."""
    files = _code_files()
    folder = cache.code / _address(files)
    if not folder.is_dir():
        part = folder.with_name(scratch_name(folder.name))
        for name, content in files.items():
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            (part / name).write_bytes(content)
        try:
            part.rename(folder)
        except OSError:  # another run has put the same snapshot there meanwhile
            remove(part)
            if not folder.is_dir():
                raise
    return folder
