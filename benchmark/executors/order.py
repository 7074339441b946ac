"""Which cell is next, and who is told: the one loop that every executor stands on."""

from __future__ import annotations

import heapq
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Protocol

from benchmark.plan import Cell
from benchmark.runner import Outcome

TICK_SECONDS = 0.25


class Watcher(Protocol):
    """Who is told what happens: a live table, plain lines, or nobody; always from one thread.

    progress: how far running cells are, by key. jobs: how many cells can run at once, 0 while there is nobody to run them.
    """

    progress: Mapping[str, tuple[int, int]]
    jobs: int

    def started(self, cell: Cell) -> None:
        """A cell begins."""

    def finished(self, outcome: Outcome) -> None:
        """A cell has its record."""

    def tick(self) -> None:
        """Time has passed."""


class Crew(Protocol):
    """Those who run cells for one run, here or elsewhere."""

    def slots(self) -> int:
        """How many cells can run at once, now."""

    def submit(self, cell: Cell) -> Future[Any]:
        """Sends a cell; its parts have ended."""

    def outcome(self, cell: Cell, future: Future[Any]) -> Outcome:
        """What became of a cell whose future is done; its record is written."""


class Ready:
    """Cells in the order they may start: a part before what stands on it, then what others wait for, then the dearest."""

    def __init__(self, cells: Sequence[Cell], cost: Callable[[Cell], float]) -> None:
        here = {cell.key for cell in cells}
        self._missing: dict[str, set[str]] = {}
        self._waiting: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for cell in cells:
            needs = set() if cell.not_applicable else {part.key for part in cell.parts.values()} & here
            self._missing[cell.key] = needs
        wanted = {key for needs in self._missing.values() for key in needs}
        self._heap: list[tuple[Any, ...]] = []
        for place, cell in enumerate(cells):
            entry = (cell.key not in wanted, -cost(cell), place, cell)
            for key in self._missing[cell.key]:
                self._waiting[key].append(entry)
            if not self._missing[cell.key]:
                heapq.heappush(self._heap, entry)

    def __bool__(self) -> bool:
        return bool(self._heap)

    def pop(self) -> Cell:
        """The next cell."""
        cell: Cell = heapq.heappop(self._heap)[-1]
        return cell

    def done(self, cell: Cell) -> None:
        """A cell has ended; those that waited for it alone may start."""
        for entry in self._waiting.pop(cell.key, []):
            missing = self._missing[entry[-1].key]
            missing.discard(cell.key)
            if not missing:
                heapq.heappush(self._heap, entry)


def in_order(cells: Sequence[Cell], crew: Crew, *, watcher: Watcher, cost: Callable[[Cell], float]) -> Iterator[Outcome]:
    """Has a crew run cells, never more than it has slots for, and yields outcomes as they come.

    Leaving the iterator early starts nothing more.
    """
    ready = Ready(cells, cost)
    running: dict[Future[Any], Cell] = {}
    while ready or running:
        watcher.jobs = crew.slots()
        while ready and len(running) < watcher.jobs:
            cell = ready.pop()
            watcher.started(cell)
            running[crew.submit(cell)] = cell
        if not running:
            time.sleep(TICK_SECONDS)
        finished, _ = wait(running, timeout=TICK_SECONDS, return_when=FIRST_COMPLETED)
        watcher.tick()
        for future in finished:
            cell = running.pop(future)
            outcome = crew.outcome(cell, future)
            ready.done(cell)
            watcher.finished(outcome)
            yield outcome
