"""Many machines, by dask: a running cluster, one that a queue starts, or worker processes here.

This side plans, orders and writes records; workers fit and score. docs/cluster.md is the user's page.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import re
import shlex
import sys
import time
import tomllib
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import methods
from benchmark.executors.local import default_jobs
from benchmark.executors.order import Watcher, in_order
from benchmark.ground.errors import UserError, unknown
from benchmark.ground.files import remove
from benchmark.plan import Cell
from benchmark.runner import HARNESS, Clerk, Outcome, Settings
from benchmark.store import ROOT
from datasets import outside

if TYPE_CHECKING:
    from distributed import Client

RETRIES = 2  # of a cell whose worker died or could not do its work; a method's own failure is a record, never retried
SLOT_SECONDS = 1.0
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"  # a terminal's Ctrl-C is this side's to handle
QUEUES = {
    "slurm": "dask_jobqueue.SLURMCluster",
    "pbs": "dask_jobqueue.PBSCluster",
    "lsf": "dask_jobqueue.LSFCluster",
    "sge": "dask_jobqueue.SGECluster",
    "local": "dask_jobqueue.local.LocalCluster",  # jobs are processes here: for trying out a file
}


@dataclass(frozen=True)
class Cluster:
    """The executor of many machines.

    scheduler: the address of a running one. queue: a TOML file that says how to start one by a queue. With neither, worker
    processes here. jobs: how many cells at once at most.
    """

    scheduler: str | None = None
    queue: Path | None = None
    jobs: int | None = None

    def run(
        self,
        cells: Sequence[Cell],
        settings: Settings,
        *,
        kept: Collection[str],
        code: str,
        watcher: Watcher,
        cost: Callable[[Cell], float],
    ) -> Iterator[Outcome]:
        """Runs cells and yields their outcomes; the records of those in `kept` stay. code: the address the plan was made for."""
        settings.cache.tidy()
        settings.results.tidy()
        with (
            self._client(on_gpu(cells)) as client,
            _Crew(client, cells, settings, code=code, kept=kept, most=self.jobs) as crew,
        ):
            watcher.progress = crew.progress
            yield from in_order(cells, crew, watcher=watcher, cost=cost)
        settings.cache.tidy()  # of workers that died

    @contextmanager
    def _client(self, gpu: bool) -> Iterator[Client]:
        """A client of the cluster; what was started for it ends with the block."""
        try:
            import dask
            import distributed
        except ImportError as error:
            raise UserError(f"executor 'dask' needs the package {error.name}; install it: uv sync --extra cluster") from None
        chosen = {"distributed.scheduler.allowed-failures": RETRIES, "distributed.admin.large-graph-warning-threshold": "1GB"}
        with dask.config.set(chosen), ExitStack() as stack:
            if self.scheduler:
                if not re.fullmatch(r"(tcp|tls|ws|wss)://\S+:\d+", self.scheduler):
                    raise UserError(f"--scheduler {self.scheduler!r} is no address; allowed: tcp://HOST:PORT (or tls, ws, wss)")
                try:
                    client = distributed.Client(self.scheduler, timeout="20s", set_as_default=False)
                except OSError as error:
                    raise UserError(
                        f"no scheduler answers at {self.scheduler!r} ({error}); start one: dask scheduler (it says its address)"
                    ) from None
                stack.enter_context(client)
                client.run_on_scheduler(_allow_failures(RETRIES))
            else:
                cluster = stack.enter_context(self._start(gpu))
                client = stack.enter_context(distributed.Client(cluster, set_as_default=False))
            yield client

    def _start(self, gpu: bool) -> Any:
        """A cluster of this run's own."""
        if self.queue:
            cluster = started_by(self.queue)
            cluster.scale(cores=self.jobs or 1)
            return cluster
        from distributed import LocalCluster

        jobs = self.jobs or (1 if gpu else default_jobs())
        return LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            memory_limit=0,  # each cell's child has a limit of its own
            dashboard_address=None,
            resources={"GPU": 1} if gpu else {},
            preload=[DEAF],
        )


def on_gpu(cells: Sequence[Cell]) -> bool:
    """Whether cells want a GPU each."""
    return any(cell.device.startswith("cuda") for cell in cells)


def started_by(path: Path) -> Any:
    """The cluster that a TOML file describes: `kind`, and the keyword arguments of that class of dask-jobqueue."""
    try:
        chosen = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"the cluster file {str(path)!r} can't be read: {error}; docs/cluster.md shows one") from None
    kind = chosen.pop("kind", None)
    if kind not in QUEUES:
        raise unknown("kind of cluster", str(kind), QUEUES)
    module, _, name = QUEUES[kind].rpartition(".")
    try:
        made = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise UserError(f"a cluster file needs the package {error.name}; install it: uv sync --extra cluster") from None
    # A job starts with an environment of the queue's making; the code it imports is this checkout's.
    chosen["python"] = f"env PYTHONPATH={shlex.quote(str(ROOT))} {chosen.get('python', shlex.quote(sys.executable))}"
    of_jobs = {name: value for name, value in chosen.items() if name not in inspect.signature(made.__mro__[1]).parameters}
    try:
        made.job_cls("tcp://HOST:PORT", name="check", **of_jobs)  # a job is checked first: half a cluster complains as it goes
        return made(**chosen)
    except (TypeError, ValueError) as error:
        raise UserError(f"{path}: {error}; allowed are the keyword arguments of {QUEUES[kind]}") from None


# Functions made in functions travel by value: a scheduler need not have this project.
def _allow_failures(most: int) -> Callable[..., None]:
    def set_on(dask_scheduler: Any) -> None:
        dask_scheduler.allowed_failures = min(dask_scheduler.allowed_failures, most)

    return set_on


def _count_slots(gpu: bool) -> Callable[..., int]:
    def count(dask_scheduler: Any) -> int:
        states = dask_scheduler.running
        return sum(min(state.nthreads, int(state.resources.get("GPU", 0))) if gpu else state.nthreads for state in states)

    return count


class _Crew:
    """The workers of a cluster, for one run. Leaving its block ends its cells, on whatever machine they are."""

    def __init__(
        self, client: Client, cells: Sequence[Cell], settings: Settings, *, code: str, kept: Collection[str], most: int | None
    ) -> None:
        from benchmark.executors import remote

        self.client, self.settings, self.code, self.kept, self.most = client, settings, code, kept, most
        self.remote, self.clerk, self.run = remote, Clerk(settings), uuid.uuid4().hex
        self.gpu = on_gpu(cells)
        self.wanted = {part.key for cell in cells if not cell.not_applicable for part in cell.parts.values()}
        entries = [methods.entry(name) for name in {cell.method for cell in cells}]
        self.plugins = {entry.path.name: entry.path.read_bytes() for entry in entries if entry.family == "plugin"}
        self.own = self._own_data({cell.dataset for cell in cells})
        self.progress: dict[str, tuple[int, int]] = {}
        self.pool = client.get_executor(pure=False, retries=RETRIES, resources={"GPU": 1} if self.gpu else None)
        self._order: Any = None  # made when the first workers are there
        self._slots, self._asked = 0, 0.0

    def _own_data(self, names: Collection[str]) -> dict[str, Any]:
        """The cards of a user's own data, which are prepared into the cache, since only this side can read them."""
        from datasets.prepare import prepare

        own = [name for name in names if datasets.entry(name).family == "outside"]
        for name in own:
            prepare(name, cache=self.settings.cache.root, data=self.settings.data)
        return {name: outside.facts(datasets.card(name)) for name in own}

    def __enter__(self) -> _Crew:
        token = self.remote.token(self.settings.cache, self.run)
        token.parent.mkdir(parents=True, exist_ok=True)
        token.touch()
        self.client.subscribe_topic(self.run, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        remove(self.remote.token(self.settings.cache, self.run))
        with contextlib.suppress(Exception):  # where the scheduler is gone, there is nobody to tell
            self.pool.shutdown(wait=False)
            if self.client.status == "running":
                self.client.run(self.remote.close, self.run, on_error="ignore")

    def slots(self) -> int:
        """The cluster's threads (GPUs where cells want one), at most as many as jobs were asked for."""
        if time.monotonic() - self._asked > SLOT_SECONDS:
            self._slots = self._ask(lambda: self.client.run_on_scheduler(_count_slots(self.gpu)))
            self._asked = time.monotonic()
        if self._slots and self._order is None:
            self._muster()
        return self._slots if self.most is None else min(self._slots, self.most)

    def submit(self, cell: Cell) -> Future[Any]:
        """Sends a cell, and with it what it stands on where the cache is not shared."""
        files = {} if self._order.shared else self.remote.carried(self.settings.cache, cell)
        send = cell.key in self.wanted and not self._order.shared
        future: Future[Any] = self.pool.submit(self.remote.measure, self._order, cell, files, send)
        return future

    def outcome(self, cell: Cell, future: Future[Any]) -> Outcome:
        """Writes the record that came home, or that of a cell which no worker could see to its end."""
        self.progress.pop(cell.key, None)
        try:
            answer = future.result()
        except CancelledError:
            raise self._gone() from None
        except Exception as error:
            if unfit := self._unfit(error):
                raise unfit from None
            outcome = Outcome(cell, self.clerk.record(cell, "failed", _said(error), flags=[HARNESS]), False)
            assignments = None
        else:
            record = {**answer.record, "commit": self.clerk.commit, "dirty": self.clerk.dirty}
            outcome, assignments = Outcome(cell, record, answer.trained, answer.figures), answer.assignments
            self.remote.put(self.settings.cache, cell.fit_fingerprint, answer.files)
        if cell.key not in self.kept:
            self.clerk.keep(outcome, assignments)
        return outcome

    def _muster(self) -> None:
        """Looks at the workers that are there: all run this code, and all see this cache or none needs to."""
        try:
            seen = self._ask(lambda: self.client.run(self.remote.look, self.settings.cache, self.run, self.code))
        except Exception as error:
            raise self._unfit(error) or error from None
        self._order = self.remote.Order(self.run, self.code, self.settings, all(seen.values()), self.plugins, self.own)

    def _ask(self, question: Callable[[], Any]) -> Any:
        if self.client.status != "running":
            raise self._gone()
        try:
            return question()
        except (OSError, CancelledError):
            raise self._gone() from None

    def _gone(self) -> UserError:
        return UserError("the scheduler is gone; cells that ended have their records: start the cluster again, then run again")

    def _unfit(self, error: Exception) -> UserError | None:
        """What is wrong with the cluster, where that is what the error says."""
        if isinstance(error, self.remote.Unfit):
            return UserError(str(error))
        if "No module named" in str(error):
            return UserError(f"a worker says: {error}; start workers in the same environment with PYTHONPATH={ROOT}")
        return None

    def _hear(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """Progress of cells, as a worker tells it."""
        for key, (done, total) in event[1]["progress"].items():
            self.progress[key] = (done, total)


def _said(error: Exception) -> str:
    """Why no worker could see a cell to its end."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return f"its worker died {error.allowed_failures + 1} times, last {error.last_worker.address}"
    return f"the worker could not run it: {type(error).__name__}: {' '.join(str(error).split())}"[:500]
