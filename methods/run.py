"""What a method gets besides its inputs: randomness, a device, its parts, progress, snapshots, a NaN guard."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from methods.base import Method
from methods.checkpoint import Checkpoint, draw_on, draws, put_back, states

SNAPSHOTS = 10
FLAGS = ("collapsed_features",)  # what a method may say of its fit; the record has it


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
        on_snapshot: Callable[[], Any] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.seed = seed
        self.device = torch.device(device)
        self.generator = torch.Generator().manual_seed(seed)
        self.parts = dict(parts or {})
        self.supervision = supervision
        self.curve: dict[str, list[float]] = {}
        self.flags: list[str] = []
        self.snapshots: list[Any] = []
        self._sums: dict[str, Tensor | float] = {}
        self._counts: dict[str, int] = {}
        self._on_progress, self._on_snapshot = on_progress, on_snapshot
        self._last_progress = 0.0
        self._checkpoint, self._saved, self._phase = checkpoint, checkpoint.load() if checkpoint else None, 0
        self._began = (time.perf_counter(), time.process_time())
        self._other = (0.0, 0.0)  # to take off the clock: pauses; less what was spent before a kill

    def integer(self) -> int:
        """A seed for a library, drawn from the run's generator: an int in 0..2^31-1."""
        return int(torch.randint(0, 2**31 - 1, (), generator=self.generator))

    def epochs(self, count: int, *, snapshots: bool = True, keep: Mapping[str, Any] | None = None) -> Iterator[int]:
        """Counts epochs 0..count-1; in between reports progress, guards against NaN and takes the snapshots.

        snapshots=False for a phase whose assignments mean nothing yet (a pretraining). keep: everything the loop changes, by
        name (networks, optimisers, schedules, tensors). A killed cell then goes on from its last checkpoint, to the same bytes
        as an undisturbed one: the states are put back, and so are all random draws and curves.
        """
        phase, self._phase = self._phase, self._phase + 1
        due = {round(count * (i + 1) / SNAPSHOTS) for i in range(SNAPSHOTS)} if count >= SNAPSHOTS else set(range(1, count + 1))
        for epoch in range(0 if keep is None else self._resumed(phase, count, keep), count):
            yield epoch
            self._close_epoch()
            self._progress(epoch + 1, count)
            if snapshots and epoch + 1 in due and epoch + 1 < count:
                self.snapshot()
            if keep is not None and self._checkpoint and self._checkpoint.due:
                self._keep(phase, epoch + 1, keep)

    def snapshot(self) -> None:
        """Has the harness note the present assignments, off the method's clock. The last state is always noted."""
        if self._on_snapshot is None:
            return
        with self._paused(), torch.no_grad():
            state = torch.get_rng_state()
            self.snapshots.append(self._on_snapshot())
            torch.set_rng_state(state)

    def spent(self) -> tuple[float, float]:
        """(wall, processor) seconds of the fit so far, without snapshots and checkpoints, with what was spent before a kill."""
        now = (time.perf_counter(), time.process_time())
        wall, cpu = (n - began - other for n, began, other in zip(now, self._began, self._other, strict=True))
        return wall, cpu

    @contextmanager
    def _paused(self) -> Iterator[None]:
        before = self.spent()
        yield
        self._turn_back(before)

    def _turn_back(self, to: tuple[float, float]) -> None:
        """Sets the clock."""
        wall, cpu = (other + now - then for other, now, then in zip(self._other, self.spent(), to, strict=True))
        self._other = (wall, cpu)

    def _keep(self, phase: int, epoch: int, keep: Mapping[str, Any]) -> None:
        """Writes a checkpoint, off the method's clock."""
        assert self._checkpoint is not None
        with self._paused():
            own = {"curve": self.curve, "snapshots": self.snapshots, "spent": self.spent()}
            place = {"phase": phase, "epoch": epoch, "states": states(keep), "draws": draws(self.generator, self.device)}
            self._checkpoint.save({**place, **own})

    def _resumed(self, phase: int, count: int, keep: Mapping[str, Any]) -> int:
        """The epoch to go on with: 0 without a checkpoint, `count` in a loop that had ended before it was written."""
        if self._saved is None:
            return 0
        if self._saved["phase"] > phase:
            return count
        saved, self._saved = self._saved, None
        put_back(keep, saved["states"])
        draw_on(saved["draws"], self.generator, self.device)
        self.curve, self.snapshots = saved["curve"], saved["snapshots"]
        self._sums, self._counts = {}, {}
        self._turn_back(saved["spent"])
        return int(saved["epoch"])

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

    def flag(self, word: str) -> None:
        """Has the record say something of this fit; word: one of FLAGS."""
        if word not in FLAGS:
            raise ValueError(f"no flag {word!r}; allowed: {', '.join(FLAGS)}")
        self.flags.append(word)

    def describe(self) -> dict[str, Any]:
        """What the outputs keep of this run: curves and flags."""
        return {"curve": self.curve, "flags": [flag for flag in FLAGS if flag in self.flags]}
