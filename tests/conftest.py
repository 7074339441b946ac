"""Shared fixtures: caches and results of their own, and a bench with plug-in methods on which single cells are run."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side: threads of one would wait for cores that another has

import psutil
import pytest
from hypothesis import HealthCheck, settings

import methods
from benchmark.plan import Cell, plan
from benchmark.runner import Bench, Settings
from benchmark.store import Cache, Results

ARRAYS = ("embedding.npy", "assign.npy", "soft.npy", "snapshots.npy", "state.npz")
HOSTILE = Path(__file__).parent / "hostile"

# `tests` is for every run, the same cases each time; `fuzz` looks for new ones: `python tests/fuzz.py`.
_QUIET = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
}
settings.register_profile("tests", max_examples=500, derandomize=True, **_QUIET)
settings.register_profile("fuzz", max_examples=10_000, print_blob=True, **_QUIET)
settings.load_profile("tests")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Raw bytes don't name a test: those of an archive hold the time of day, and every process must find the same tests."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test reads or writes the user's cache or data."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("BLINDBENCH_CACHE", str(folder))
        patch.delenv("BLINDBENCH_DATA", raising=False)
        yield folder


@dataclass
class Lab:
    """An open bench. Plug-in methods are known by their file's name."""

    folder: Path
    bench: Bench

    def cell(self, method: str, dataset: str = "blobs", seed: int = 0, **changes: Any) -> Cell:
        """The cell of a method at budget smoke."""
        return self.cells(method, dataset, seed, **changes)[-1]

    def cells(self, method: str, dataset: str = "blobs", seed: int = 0, **changes: Any) -> list[Cell]:
        """The cell and, before it, its parts."""
        chosen = {"method_names": [method], "dataset_names": [dataset], "changes": {method: changes} if changes else {}}
        cells = plan(**chosen, seeds=seed + 1, budget="smoke", track="transductive")
        return [cell for cell in cells if cell.seed == seed]

    def run(self, method: str, dataset: str = "blobs", seed: int = 0, **changes: Any) -> dict[str, Any]:
        """Runs a cell, its parts first where they have no outputs; returns its record as it lies on disk."""
        *parts, cell = self.cells(method, dataset, seed, **changes)
        for one in parts:
            if not (self.bench.outputs(one) / "fit.json").is_file():
                self.bench.run_cell(one)
        self.bench.run_cell(cell)
        record = self.bench.settings.results.read(cell.key)
        assert record is not None
        return record

    def arrays(self, cell: Cell) -> dict[str, bytes]:
        """The bytes of a cell's output arrays, by file name."""
        folder = self.bench.outputs(cell)
        return {name: (folder / name).read_bytes() for name in ARRAYS if (folder / name).is_file()}

    def strays(self) -> list[psutil.Process]:
        """Living processes of this lab other than its two servers."""
        servers = {self.bench.blind._process.pid, self.bench.sighted._process.pid}
        return [process for process in processes_of(self.folder) if process.pid not in servers]

    def half_written(self) -> list[Path]:
        """Temporary files and folders that were left behind."""
        return sorted(self.folder.rglob(".*.part"))


def processes_of(folder: Path) -> list[psutil.Process]:
    """Living processes that work in a folder or name it on their command line."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and str(folder) in " ".join([process.cwd(), *process.cmdline()]):
                found.append(process)
    return found


@contextlib.contextmanager
def opened(folder: Path, *, data: Path | None = None, **options: Any) -> Iterator[Lab]:
    """A lab in a folder; every file in tests/hostile is a method in it. The servers end with the block."""
    known = set(methods.registry._room._plugins)
    settings = Settings(Results(folder / "results"), Cache(folder / "cache"), data=data, **options)
    try:
        for path in sorted(HOSTILE.glob("*.py")):
            methods.plug_in(path)
        with Bench.open(settings) as bench:
            yield Lab(folder, bench)
    finally:
        for name in set(methods.registry._room._plugins) - known:
            del methods.registry._room._plugins[name]


@pytest.fixture(scope="session")
def open_lab() -> Callable[..., contextlib.AbstractContextManager[Lab]]:
    """Opens a lab in a folder."""
    return opened


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One lab for all, since its servers take seconds to start; in its user's data folder lies `raw/blobs/y.npy`."""
    folder = tmp_path_factory.mktemp("lab")
    place = folder / "data" / "raw" / "blobs"
    place.mkdir(parents=True)
    with opened(folder, data=folder / "data") as lab:
        shutil.copy(lab.bench.prepared("blobs").labels / "y.npy", place)
        yield lab
