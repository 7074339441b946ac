"""The worker's side of a run on many machines: a bench of its own for each run, so a cell is as alone and blind as at home.

Nothing here knows labels beyond what the bench of a run here would know, and the servers that fork children are fresh
programs with a cleaned environment. Records are written by the submitting side alone.
"""

from __future__ import annotations

import dataclasses
import platform
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import psutil
from distributed import Worker, get_worker

import datasets
import methods
from benchmark.ground.files import remove, replacing, scratch_name, sha256
from benchmark.plan import Cell, with_parts
from benchmark.provenance import code_address
from benchmark.runner import Bench, Settings
from benchmark.store import ROOT, Cache, cache_root, data_folder

CARRIED = ("fit.json", "state.npz")  # what stands on a cell needs of its outputs
IDLE_SECONDS = 600
LOOK_SECONDS = 1.0
Files = Mapping[str, Mapping[str, bytes]]


class Unfit(Exception):
    """A worker that can't take part in the run: other code, another cache. It is the cluster that is wrong, not the cell."""


@dataclass(frozen=True)
class Order:
    """What a worker is told of a run, with each cell.

    run: its id, and the name of a file in the submitting side's cache. code: the address of its code. shared: whether all
    workers see its cache. plugins: methods from outside the repository, file name -> source. own: cards of a user's own data.
    """

    run: str
    code: str
    settings: Settings
    shared: bool
    plugins: Mapping[str, bytes]
    own: Mapping[str, dict[str, Any]]


@dataclass(frozen=True)
class Answer:
    """What a worker has to say of a cell. files: of its outputs what others need, where the cache is not shared."""

    record: dict[str, Any]
    trained: bool
    assignments: np.ndarray | None
    figures: bytes | None
    files: Mapping[str, bytes]


@cache
def loaded_code() -> str:
    """The address of the code when this process first asked, which is when it had just loaded it."""
    return code_address()


def token(cache: Cache, run: str) -> Any:
    """The file by which a worker knows the submitting side's cache."""
    return cache.scratch / f"run-{run}"


def look(cache: Cache, run: str, code: str) -> bool:
    """Whether this worker sees the submitting side's cache; Unfit where it runs other code."""
    if loaded_code() != code or code_address() != code:
        raise Unfit(f"worker {platform.node()} runs other code ({ROOT}) than this side; update it there and start it again")
    return token(cache, run).is_file()


def measure(order: Order, cell: Cell, files: Files, send: bool) -> Answer:
    """Runs a cell on this worker. files: what it stands on, by fingerprint. send: whether others need its outputs."""
    while True:
        host = _host(order)
        with host.at_work() as bench:
            if bench is None:  # it was closing as we came
                continue
            _take(bench.cache, cell, files)
            outcome = bench.measure(cell)
            folder = bench.outputs(cell)
            found = {name: (folder / name).read_bytes() for name in CARRIED if send and (folder / name).is_file()}
            return Answer(outcome.record, outcome.trained, bench.assignments(outcome), outcome.figures, found)


def carried(cache: Cache, cell: Cell) -> dict[str, dict[str, bytes]]:
    """What of the outputs of its parts a cell needs, by fingerprint."""
    parts = [cache.output(part.fit_fingerprint) for part in with_parts(cell)[:-1] if not part.not_applicable]
    return {part.name: {name: (part / name).read_bytes() for name in CARRIED if (part / name).is_file()} for part in parts}


def put(cache: Cache, fingerprint: str, files: Mapping[str, bytes]) -> None:
    """Writes carried outputs into a cache, unless it has them."""
    folder = cache.output(fingerprint)
    if not files or (folder / "fit.json").is_file():
        return
    part = folder.with_name(scratch_name(folder.name))
    part.mkdir(parents=True)
    for name in set(CARRIED) & set(files):
        (part / name).write_bytes(files[name])
    try:
        part.rename(folder)
    except OSError:  # a neighbour has put them there meanwhile
        remove(part)


def close(run: str) -> None:
    """Ends this worker's bench of a run, and every cell in it."""
    with _guard:
        host = _hosts.get(run)
    if host:
        host.close()


def _take(cache: Cache, cell: Cell, files: Files) -> None:
    for part in with_parts(cell)[:-1]:
        put(cache, part.fit_fingerprint, files.get(part.fit_fingerprint, {}))


_hosts: dict[str, Host] = {}
_guard = threading.Lock()


def _host(order: Order) -> Host:
    with _guard:
        host = _hosts.get(order.run)
        if host is None or host.closing.is_set():
            host = _hosts[order.run] = Host(order, get_worker())
    return host


class Host:
    """A run's bench on this worker, opened and closed by a thread of its own.

    On Linux a child dies with the *thread* that started it, and a task's thread may end before the run does. The thread also
    tells how far cells are, and ends the bench when its cells are no longer wanted (the submitting side is gone) or none came
    for a while.
    """

    def __init__(self, order: Order, worker: Worker) -> None:
        self.order, self.worker = order, worker
        self.closing, self._opened, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._tasks: set[str] = set()
        self._idle_since = time.monotonic()
        self._bench: Bench | None = None
        self._error: BaseException | None = None
        threading.Thread(target=self._live, daemon=True, name=f"bench-{order.run}").start()

    @contextmanager
    def at_work(self) -> Iterator[Bench | None]:
        """The open bench for one task; None where it is closing."""
        self._opened.wait()
        if self._error:
            raise self._error
        task = str(self.worker.get_current_task())
        self._tasks.add(task)
        try:
            yield None if self.closing.is_set() else self._bench
        finally:
            self._tasks.discard(task)
            self._idle_since = time.monotonic()

    def close(self) -> None:
        """Ends the bench."""
        self.closing.set()
        self._ended.wait(timeout=30)

    def _live(self) -> None:
        try:
            with Bench.open(self._settings()) as bench:
                if bench.code.name != self.order.code:
                    raise Unfit(f"the code of worker {platform.node()} ({ROOT}) changed; start the worker again")
                self._bench = bench
                self._opened.set()
                said: dict[str, tuple[int, int]] = {}
                while not self.closing.wait(LOOK_SECONDS) and self._wanted():
                    now = dict(bench.progress)
                    if now != said:
                        self.worker.log_event(self.order.run, {"progress": {key: list(value) for key, value in now.items()}})
                        said = now
                self.closing.set()
        except BaseException as error:
            self._error = error
        finally:
            self.closing.set()
            self._opened.set()
            self._ended.set()
            with _guard:
                if _hosts.get(self.order.run) is self:
                    del _hosts[self.order.run]

    def _wanted(self) -> bool:
        """Whether the scheduler still wants every task at work here, and there was one of late."""
        tasks = list(self._tasks)
        if not tasks:
            return time.monotonic() - self._idle_since < IDLE_SECONDS
        states = [self.worker.state.tasks.get(task) for task in tasks]
        return all(state is not None and state.state != "cancelled" for state in states)

    def _settings(self) -> Settings:
        """The run's settings as they are on this machine."""
        given = self.order.settings
        shared = look(given.cache, self.order.run, self.order.code)
        if self.order.shared and not shared:
            raise Unfit(f"worker {platform.node()} does not see the cache {given.cache.root}, but the first workers did")
        place = given.cache if self.order.shared else Cache(cache_root())
        for name, content in self.order.plugins.items():
            copy = place.code / "plugins" / sha256(content)[:16] / name
            if not copy.is_file():
                with replacing(copy) as part:
                    part.write_bytes(content)
            methods.plug_in(copy)
        for name, facts in self.order.own.items():
            datasets.know(name, facts)
        data = given.data if given.data and given.data.is_dir() else data_folder(None)
        return dataclasses.replace(given, cache=place, data=data, jobs=self._jobs())

    def _jobs(self) -> int:
        """How many cells share this machine's memory: as many as workers of this size fit into it, times their threads."""
        limit = self.worker.memory_manager.memory_limit
        if not limit:
            return self.order.settings.jobs
        return max(1, round(psutil.virtual_memory().total / limit)) * self.worker.state.nthreads
