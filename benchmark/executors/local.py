"""Local processes: as many cells at once as there are jobs, each part before what stands on it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Protocol

from benchmark.plan import Cell
from benchmark.runner import Outcome


class Watcher(Protocol):
    """Who is told what happens: a live table, plain lines, or nobody. progress: how far running cells are, by key."""

    progress: Mapping[str, tuple[int, int]]

    def started(self, cell: Cell) -> None:
        """A cell begins."""

    def finished(self, outcome: Outcome) -> None:
        """A cell has its record."""

    def tick(self) -> None:
        """Time has passed."""


def default_jobs() -> int:
    """One cell a core this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_cells(
    cells: Sequence[Cell],
    run_cell: Callable[[Cell], Outcome],
    *,
    jobs: int,
    watcher: Watcher,
    cost: Callable[[Cell], float] = lambda _: 0.0,
) -> Iterator[Outcome]:
    """Runs cells, `jobs` at a time, and yields outcomes as they come.

    A cell waits for those of its parts that are among `cells`. Of the cells that could start, one that others wait for
    goes first, then the most expensive. Leaving the iterator early starts nothing more. Raises Stopped where the bench was
    closed meanwhile.
    """
    here = {cell.key for cell in cells}
    waiting = {cell.key: {part.key for part in cell.parts.values()} & here for cell in cells if not cell.not_applicable}
    wanted = {key for needs in waiting.values() for key in needs}
    todo = sorted(cells, key=lambda cell: (cell.key not in wanted, -cost(cell)))
    running: dict[Future[Outcome], Cell] = {}
    done: set[str] = set()
    guard = threading.Lock()

    def one(cell: Cell) -> Outcome:
        with guard:
            watcher.started(cell)
        return run_cell(cell)

    pool = ThreadPoolExecutor(max_workers=jobs)
    try:
        while todo or running:
            ready = [cell for cell in todo if waiting.get(cell.key, set()) <= done]
            for cell in ready[: jobs - len(running)]:
                todo.remove(cell)
                running[pool.submit(one, cell)] = cell
            finished, _ = wait(running, timeout=0.25, return_when=FIRST_COMPLETED)
            with guard:
                watcher.tick()
            for future in finished:
                done.add(running.pop(future).key)
                outcome = future.result()
                with guard:
                    watcher.finished(outcome)
                yield outcome
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
