"""The zoo: methods that misbehave, and the row that each must get. `docs/sweeps.md` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmark.executors.meter import Limits, oom_kills

LIMITS = Limits(wall_seconds=15, cpu_seconds=3, memory_mib=1400, disk_mib=64)
KILLED = "failed" if oom_kills() is not None else "out_of_memory"  # a kernel that counts its own kills tells them from others


@dataclass(frozen=True)
class Animal:
    """What a method does, the file in tests/hostile that does it, and the row it gets.

    reason: a part of the reason; "" where the row is ok. attempts: how many reaches stand on the row.
    changes: of its fields; "{label}" and "{outside}" stand for a label file and for a place that is none of the method's.
    """

    does: str
    method: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    state: str = "ok"
    reason: str = ""
    flags: tuple[str, ...] = ()
    attempts: int = 0

    @property
    def row(self) -> str:
        """Its line in the table of docs/sweeps.md."""
        shown = [self.state.replace("_", " "), self.reason and f"`{self.reason}`", ", ".join(self.flags)]
        return f"| {self.does} | " + " | ".join([*shown, str(self.attempts or "")]) + " |"


def way(name: str, **changes: Any) -> tuple[str, dict[str, Any]]:
    """The method `misbehaves`, in one of its ways."""
    return "misbehaves", {"way": name, **changes}


_REFUSED = "PermissionError: the label wall refuses open for writing of <elsewhere>/stolen.txt"
ZOO = [
    Animal("computes without end, in a child", "burns_in_a_child", {}, "timeout", "went over 3 cpu seconds"),
    Animal("waits for ever", "loops_for_ever", {}, "timeout", "went over 15 wall seconds"),
    Animal("ignores SIGTERM", *way("ignores_sigterm"), "timeout", "went over 15 wall seconds"),
    Animal(
        "reaches for a label in a fork and sleeps on", *way("tries_and_sleeps", place="{label}"), "timeout", "15 wall", attempts=1
    ),
    Animal("allocates without end", "allocates", {}, "out_of_memory", "went over 1400 MiB of memory"),
    Animal("returns NaN", "gives_nan", {}, "diverged", "3 of 600 embeddings are not finite"),
    Animal("has a loss that becomes NaN", "loses_its_loss", {}, "diverged", "loss became nan in epoch 2"),
    Animal("returns a row too few", "gives_wrong_shapes", {"offence": "short"}, "failed", "assignments are int64 [599]"),
    Animal("returns a column", "gives_wrong_shapes", {"offence": "columns"}, "failed", "assignments are int64 [600, 1]"),
    Animal("returns no integers", "gives_wrong_shapes", {"offence": "floats"}, "failed", "float32 [600]; allowed: integers"),
    Animal("returns cluster −2", "gives_wrong_shapes", {"offence": "negative"}, "failed", "assignments reach down to -2"),
    Animal("returns probabilities above 1", "gives_wrong_shapes", {"offence": "sums"}, "failed", "sum to 12..12; allowed: 1"),
    Animal("returns another embedding", "gives_wrong_shapes", {"offence": "rows"}, "failed", "embeddings have shape [3, 2]"),
    Animal("uses fewer clusters than k", "uses_few_clusters", flags=("collapsed",)),
    Animal("says that its features fell together", "features_fall_together", flags=("collapsed_features",)),
    Animal("uses more clusters than k", "beyond_k", {}, "failed", "the method was told k = "),
    Animal("raises at import", "fails_at_import", {}, "failed", "RuntimeError: not today"),
    Animal("calls `sys.exit(0)`", *way("exits"), "failed", "SystemExit: 0"),
    Animal("calls `os._exit(0)`", "leaves", {"code": 0}, "failed", "the child left with exit code 0 and wrote no outputs"),
    Animal("calls `os._exit(7)`", "leaves", {"code": 7}, "failed", "the child left with exit code 7 and wrote no outputs"),
    Animal("kills itself", "kills_itself", {}, KILLED, "the child was killed by signal 9 and wrote no outputs"),
    Animal("leaves a child in a session of its own", "leaves_a_child", {"detached": True}),
    Animal("leaves a daemon, forked twice", *way("leaves_a_daemon")),
    Animal("leaves a process that forks itself anew all the time", *way("leaves_a_hydra")),
    Animal("writes outside its folder", *way("writes_outside", place="{outside}"), "failed", _REFUSED, attempts=1),
    Animal("tries eight ways of it and hides that", *way("hides_its_writing", place="{outside}"), attempts=8),
    Animal("prints a gigabyte", *way("prints_a_gigabyte")),
    Animal("fills its folder", *way("fills_its_folder"), "failed", "went over 64 MiB of disk"),
    Animal("removes its folder", *way("removes_its_folder")),
    Animal("changes what a process has one of", *way("changes_global_state")),
    Animal("closes every open file", *way("closes_descriptors")),
    Animal("closes every open file and fails", *way("closes_descriptors_and_fails"), "failed", "RuntimeError: nobody hears me"),
    Animal(
        "reaches for a label and calls `os._exit(0)`",
        *way("tries_and_leaves", place="{label}"),
        "failed",
        "exit code 0",
        attempts=1,
    ),
    Animal("kills the process that forked it", *way("kills_its_parent"), "failed", "ended the process it was forked from"),
    Animal("stops the process that forked it", *way("stops_its_parent"), "timeout", "went over 15 wall seconds"),
]
