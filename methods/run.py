"""What a method gets besides its inputs: randomness, a device, its parts, progress, snapshots, a NaN guard."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from methods.base import Method

SNAPSHOTS = 10


class Diverged(Exception):
    """A loss stopped being finite; the cell's state is `diverged`."""


@dataclass(frozen=True)
class Supervision:
    """What a method's card declares it is told beyond the number of clusters; the harness gives nothing else.

    labels: [n] int64, −1 where the method is told nothing.
    """

    labels: Tensor


class Run:
    """One fit's surroundings. Every random draw of a method comes from `generator`, `integer` or torch's seeded default.

    seed: the cell's. device: where to compute. parts: role -> fitted method. supervision: only where the card says so.
    """

    def __init__(
        self,
        *,
        seed: int,
        device: str = "cpu",
        parts: Mapping[str, Method] | None = None,
        supervision: Supervision | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        on_snapshot: Callable[[], None] | None = None,
    ) -> None:
        self.seed = seed
        self.device = torch.device(device)
        self.generator = torch.Generator().manual_seed(seed)
        self.parts = dict(parts or {})
        self.supervision = supervision
        self.curve: dict[str, list[float]] = {}
        self.paused_wall = self.paused_cpu = 0.0
        self._sums: dict[str, Tensor | float] = {}
        self._counts: dict[str, int] = {}
        self._on_progress, self._on_snapshot = on_progress, on_snapshot
        self._last_progress = 0.0

    def integer(self) -> int:
        """A seed for a library, drawn from the run's generator: an int in 0..2^31-1."""
        return int(torch.randint(0, 2**31 - 1, (), generator=self.generator))

    def epochs(self, count: int, *, snapshots: bool = True) -> Iterator[int]:
        """Counts epochs 0..count-1; in between reports progress, guards against NaN and takes the snapshots.

        snapshots=False for a phase whose assignments mean nothing yet (a pretraining).
        """
        due = {round(count * (i + 1) / SNAPSHOTS) for i in range(SNAPSHOTS)} if count >= SNAPSHOTS else set(range(1, count + 1))
        for epoch in range(count):
            yield epoch
            self._close_epoch()
            self._progress(epoch + 1, count)
            if snapshots and epoch + 1 in due and epoch + 1 < count:
                self.snapshot()

    def snapshot(self) -> None:
        """Has the harness note the present assignments, off the method's clock. The last state is always noted."""
        if self._on_snapshot is None:
            return
        wall, cpu = time.perf_counter(), time.process_time()
        state = torch.get_rng_state()
        with torch.no_grad():
            self._on_snapshot()
        torch.set_rng_state(state)
        self.paused_wall += time.perf_counter() - wall
        self.paused_cpu += time.process_time() - cpu

    def log(self, **values: Tensor | float) -> None:
        """Notes losses and other scalars of one step; their means over each epoch are kept in the outputs."""
        for name, value in values.items():
            value = value.detach() if isinstance(value, Tensor) else value
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1

    def _close_epoch(self) -> None:
        for name, total in self._sums.items():
            mean = float(total) / self._counts[name]
            if not math.isfinite(mean):
                raise Diverged(f"{name} became {mean} in epoch {len(self.curve.get(name, [])) + 1}")
            self.curve.setdefault(name, []).append(mean)
        self._sums, self._counts = {}, {}

    def _progress(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._on_progress and (now - self._last_progress > 0.5 or done == total):
            self._last_progress = now
            self._on_progress(done, total)

    def describe(self) -> dict[str, Any]:
        """What the outputs keep of this run: the curves."""
        return {"curve": self.curve}
