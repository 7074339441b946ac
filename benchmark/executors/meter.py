"""What a job uses of the machine: processor, memory, disk; where it must end; and how large its log may grow."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

LOG = "log.txt"
LOG_CAP_MIB = 4.0


@dataclass(frozen=True)
class Limits:
    """Where a job ends: seconds of wall clock and processor, MiB of the whole process tree, MiB of files in its folders."""

    wall_seconds: float
    cpu_seconds: float
    memory_mib: float
    disk_mib: float = math.inf

    def of(self, name: str) -> float:
        """The limit named wall, cpu, memory or disk."""
        return {"wall": self.wall_seconds, "cpu": self.cpu_seconds, "memory": self.memory_mib, "disk": self.disk_mib}[name]


class Meter:
    """What a job has used. cpu: seconds; memory, peak, disk: MiB. folder, scratch: where it writes."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder, self.scratch = folder, scratch
        self.cpu = self.memory = self.peak = self.disk = 0.0
        self._seen: set[psutil.Process] = set()
        self._next_walk = 0.0

    def read(self, pid: int) -> None:
        """Looks at the process tree and, less often where there are many files, at the folders; keeps the log small."""
        tree = process_tree(pid)
        self._seen |= set(tree)
        cpu, self.memory = usage(tree)
        self.cpu, self.peak = max(self.cpu, cpu), max(self.peak, self.memory)
        began = time.monotonic()
        if began >= self._next_walk:
            cap_log(self.folder / LOG)
            self.disk = sum(map(folder_mib, (self.folder, self.scratch)))
            self._next_walk = began + 20 * (time.monotonic() - began)

    def over(self, limits: Limits, wall: float) -> str | None:
        """The limit that is passed after so many seconds of wall clock, or None."""
        used = {"wall": wall, "cpu": self.cpu, "memory": self.memory, "disk": self.disk}
        return next((name for name, value in used.items() if value > limits.of(name)), None)

    def kill_all(self, seconds: float = 5) -> None:
        """Kills all of a job whose server is gone, so that nobody else knows which orphans are its.

        They are what was seen of it, and what works in its scratch folder or has it for a temporary one.
        """
        end, left = time.monotonic() + seconds, self._seen
        while time.monotonic() < end:
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            left = {process for process in psutil.process_iter() if _lives_in(process, str(self.scratch))}
            if not left:
                return


def _lives_in(process: psutil.Process, folder: str) -> bool:
    with contextlib.suppress(psutil.Error):
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return process.cwd().startswith(folder) or process.environ().get("TMPDIR") == folder
    return False


def has_ended(pid: int) -> bool:
    """Whether a process has ended and waits for its parent to see that."""
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return False


def process_tree(pid: int) -> list[psutil.Process]:
    """A process and all its descendants; none once it is gone."""
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def usage(processes: Iterable[psutil.Process]) -> tuple[float, float]:
    """(CPU seconds, resident MiB) of processes, the time of children that ended included."""
    cpu = memory = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            cpu += sum(process.cpu_times()[:4])
            memory += process.memory_info().rss / 2**20
    return cpu, memory


def folder_mib(folder: Path) -> float:
    """The MiB that files below a folder take, the log aside; links are not followed."""
    total = 0
    for place, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(place, name)).st_blocks * 512 if name != LOG else 0
    return total / 2**20


def cap_log(log: Path) -> None:
    """Takes the middle out of a log that has grown over its cap; the job appends, so it may go on with it meanwhile."""
    cap = int(LOG_CAP_MIB * 2**20)
    with contextlib.suppress(OSError):
        if log.stat().st_size > cap:
            with log.open("rb") as stream:
                stream.seek(-cap // 4, os.SEEK_END)
                last = stream.read(cap // 4)
            os.truncate(log, cap // 4)
            with log.open("ab") as stream:
                stream.write(b"\n[the log was cut here]\n" + last)


def oom_kills() -> int | None:
    """How many processes the kernel (Linux) has killed for want of memory since it started, or None."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None
