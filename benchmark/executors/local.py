"""Local processes: as many cells at once as there are jobs."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from benchmark.executors.order import Watcher, in_order
from benchmark.ground.errors import UserError
from benchmark.plan import Cell
from benchmark.runner import Bench, Outcome, Settings


def default_jobs() -> int:
    """One cell a core this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Local:
    """The executor of this machine: one bench, `settings.jobs` threads."""

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
        before = {cell.key: settings.results.stamp(cell.key) for cell in cells}
        wanted = {part.key for cell in cells if not cell.not_applicable for part in cell.parts.values()}
        with Bench.open(settings) as bench:
            if bench.code.name != code:
                raise UserError("the code changed while the run was starting; start it again")
            watcher.progress = bench.progress

            def run_cell(cell: Cell) -> Outcome:
                key = cell.key
                return bench.run_claimed(cell, keep_record=key in kept, outputs=key in wanted, before=before[key])

            yield from run_cells(cells, run_cell, jobs=settings.jobs, watcher=watcher, cost=cost)


class _Threads:
    def __init__(self, run_cell: Callable[[Cell], Outcome], jobs: int) -> None:
        self.run_cell, self.jobs = run_cell, jobs
        self.pool = ThreadPoolExecutor(max_workers=jobs)

    def slots(self) -> int:
        return self.jobs

    def submit(self, cell: Cell) -> Future[Outcome]:
        return self.pool.submit(self.run_cell, cell)

    def outcome(self, cell: Cell, future: Future[Outcome]) -> Outcome:
        return future.result()


def run_cells(
    cells: Sequence[Cell],
    run_cell: Callable[[Cell], Outcome],
    *,
    jobs: int,
    watcher: Watcher,
    cost: Callable[[Cell], float] = lambda _: 0.0,
) -> Iterator[Outcome]:
    """Runs cells, `jobs` at a time, and yields outcomes as they come. Raises Stopped where the bench was closed meanwhile."""
    crew = _Threads(run_cell, jobs)
    try:
        yield from in_order(cells, crew, watcher=watcher, cost=cost)
    finally:
        crew.pool.shutdown(wait=False, cancel_futures=True)
