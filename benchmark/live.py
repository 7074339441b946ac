"""What a person sees while cells run: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from benchmark.plan import Cell
from benchmark.runner import Outcome

SHOWN = ("acc", "nmi", "knn")
WITHOUT_LABELS = ("silhouette", "effective_rank")


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 7 min, 3.1 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def line(outcome: Outcome) -> str:
    """One finished cell in one line."""
    record = outcome.record
    name = f"{record['dataset']:<18} {record['method']:<20} seed {record['seed']}"
    if record["state"] != "ok":
        return f"{name}  {record['state'].replace('_', ' ')}: {record['reason']}"
    known = {key: value for key, value in record["scores"].items() if value is not None}
    shown = SHOWN if "acc" in known else WITHOUT_LABELS
    scores = "  ".join(f"{key} {known[key]:.3f}" for key in shown if key in known)
    return f"{name}  {scores:<32} {record['cost']['wall_seconds']:6.1f} s" + ("" if outcome.trained else "  (scored only)")


class Watch:
    """A watcher for people. expected: seconds a cell took before, by key; total: how many cells will run."""

    def __init__(self, console: Console, *, total: int, jobs: int, expected: Mapping[str, float]) -> None:
        self.console, self.total, self.jobs, self.expected = console, total, jobs, dict(expected)
        self.progress: Mapping[str, tuple[int, int]] = {}
        self._running: dict[str, float] = {}
        self._done = self._failed = 0
        self._waiting = False
        self._spent: dict[str, float] = {}
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self._task = self._bar.add_task("cells", total=total)
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None

    def __enter__(self) -> Watch:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._live:
            self._live.stop()

    def started(self, cell: Cell) -> None:
        """A cell begins."""
        self._running[cell.key] = time.monotonic()
        self.tick()

    def finished(self, outcome: Outcome) -> None:
        """A cell has its record."""
        began = self._running.pop(outcome.cell.key, time.monotonic())
        self._spent[outcome.cell.key] = time.monotonic() - began
        self._done += 1
        self._failed += outcome.record["state"] not in ("ok", "not_applicable")
        self._bar.update(self._task, completed=self._done)
        self.console.print(line(outcome), highlight=False, soft_wrap=True)
        self.tick()

    def tick(self) -> None:
        """Redraws the live table."""
        if not (self.jobs or self._waiting or self._live):
            self.console.print("no worker is there yet; waiting for one", highlight=False)
        self._waiting = not self.jobs
        if self._live:
            self._live.update(self._view())

    def left(self) -> float | None:
        """Seconds to go, from what cells took before, or from those done in this run; None while nothing is known."""
        known = sum(self.expected.values())
        past = sum(self.expected.get(key, 0.0) for key in self._spent)
        if known > 0 and past > 0:
            return (known - past) * sum(self._spent.values()) / past / max(1, self.jobs)
        if self._done:
            return (self.total - self._done) * sum(self._spent.values()) / self._done / max(1, self.jobs)
        return None

    def _view(self) -> Group:
        table = Table(box=None, padding=(0, 1))
        for name in ("running", "seed", "epoch", "for"):
            table.add_column(name)
        for key, began in self._running.items():
            dataset, method, rest = key.split("/")
            done, total = self.progress.get(key, (0, 0))
            epoch = f"{done}/{total}" if total else ""
            table.add_row(f"{dataset} · {method}", rest.rsplit("-s", 1)[1], epoch, duration(time.monotonic() - began))
        left = self.left()
        bad = f", {self._failed} failed" if self._failed else ""
        hope = ", waiting for workers" if self._waiting else f", about {duration(left)} left" if left is not None else ""
        self._bar.update(self._task, description=f"cells{bad}{hope}")
        return Group(table, self._bar)
