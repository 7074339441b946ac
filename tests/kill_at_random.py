"""Kills a run at random moments, again and again, and checks that what comes out is what an undisturbed run gives.

    python tests/kill_at_random.py --times 20 --seed 0

After each kill no process of the run is left and every record on disk is whole. At the end the records are those of an
undisturbed run (all but cost and date), nothing is half-written, and no record or output was written a second time. It
prints each kill, and at the end a table of what was counted; the exit code is 0 where every promise was kept.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = Path(__file__).resolve().parent / "hostile"
PATIENCE_SECONDS = 30
FAULTS = {
    "lost": "finished records or outputs lost",
    "doubled": "records or outputs written a second time",
    "orphans": "kills after which a process was left",
    "torn": "records that were not whole",
    "different": "final records that differ from the undisturbed run's",
    "left": "half-written files left at the end",
    "exit": "runs that ended in another way than they should",
}
ASIDE = ("cost", "date")


class Broken(AssertionError):
    """A promise was not kept. kind: which, of FAULTS."""

    def __init__(self, text: str, kind: str = "exit") -> None:
        super().__init__(text)
        self.kind = kind


@dataclass
class Place:
    """One folder with the cache and the results of a run that is disturbed."""

    folder: Path
    methods: str = "chance,pixels_kmeans,dec,leaves_a_child"
    datasets: str = "blobs,digits"
    seen: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def start(self) -> subprocess.Popen[bytes]:
        """Starts or goes on with the run."""
        command = [sys.executable, str(ROOT / "run_all.py"), "run", "--budget", "smoke", "--seeds", "1", "--jobs", "2"]
        command += ["--methods", self.methods, "--datasets", self.datasets, "--track", "transductive"]
        command += ["--plugin", str(HOSTILE / "leaves_a_child.py"), "--results", str(self.folder / "results")]
        env = {**os.environ, "BLINDBENCH_CACHE": str(self.folder / "cache")}
        env.pop("BLINDBENCH_DATA", None)
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def at_work(self, since: float) -> bool:
        """Whether a cell has been fitted or scored since a moment: its process opens a log first."""
        logs = [path for inner in ("outputs", "scratch") for path in (self.folder / "cache" / inner).glob("*/log.txt")]
        for log in logs:
            with contextlib.suppress(FileNotFoundError):
                if log.stat().st_mtime > since:
                    return True
        return False

    def records(self) -> dict[str, dict[str, Any]]:
        """The records on disk; Broken where one is not whole."""
        found, root = {}, self.folder / "results" / "records"
        for path in sorted(root.rglob("*.json")):
            if path.name.startswith("."):
                continue
            try:
                found[str(path.relative_to(root))] = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise Broken(f"{path} is not whole: {error}", "torn") from None
        return found

    def check(self) -> None:
        """After a disturbance: no process is left, records are whole, and what was finished before is untouched."""
        end = time.monotonic() + PATIENCE_SECONDS
        while left := living(self.folder):
            if time.monotonic() > end:
                raise Broken(f"processes are left: {left}", "orphans")
            time.sleep(0.05)
        if gone := [str(file) for file in self.seen if not file.exists()]:
            raise Broken(f"gone: {gone}", "lost")
        for key, record in self.records().items():
            path = self.folder / "results" / "records" / key
            outputs = self.folder / "cache" / "outputs" / record["fit_fingerprint"]
            for file in (path, *outputs.iterdir()):
                status = file.stat()
                stamp = (status.st_mtime_ns, status.st_ino)
                if self.seen.setdefault(file, stamp) != stamp:
                    raise Broken(f"{file} was written again", "doubled")

    def finish(self) -> dict[str, dict[str, Any]]:
        """Lets the run go on to its end; returns the records."""
        code = self.start().wait(timeout=600)
        if code != 0:
            raise Broken(f"the last run ended with {code}:\n{(self.folder / 'log.txt').read_text()[-2000:]}")
        self.check()
        if parts := sorted(self.folder.rglob(".*.part")):
            raise Broken(f"left half-written: {parts}", "left")
        return self.records()


def living(folder: Path) -> list[str]:
    """Living processes that work in a folder or name it on their command line."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = " ".join([process.cwd(), *process.cmdline()])
            if process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid() and str(folder) in words:
                found.append(f"{process.pid} {words}")
    return found


def same(records: dict[str, dict[str, Any]], wanted: dict[str, dict[str, Any]]) -> None:
    """Broken where two runs' records differ in more than cost and date."""
    if set(records) != set(wanted):
        raise Broken(f"records that only one run has: {sorted(set(records) ^ set(wanted))}", "lost")
    for key, record in records.items():
        names = [name for name in {*record, *wanted[key]} - {*ASIDE} if record.get(name) != wanted[key].get(name)]
        if names:
            raise Broken(f"{key} differs from the undisturbed run's in {', '.join(sorted(names))}", "different")


@dataclass(frozen=True)
class Reference:
    """A run that nobody disturbs: its records, the seconds until its first cell is at work, and from there to its end."""

    records: dict[str, dict[str, Any]]
    start: float
    work: float


def undisturbed(folder: Path) -> Reference:
    """Makes the run that others are compared with."""
    place, began, first = Place(folder), time.time(), 0.0
    run = place.start()
    while run.poll() is None:
        if not first and place.at_work(began):
            first = time.time() - began
        time.sleep(0.02)
    total = time.time() - began
    if run.returncode != 0:
        raise Broken(f"the undisturbed run ended with {run.returncode}:\n{(folder / 'log.txt').read_text()[-2000:]}")
    place.check()
    return Reference(place.records(), first, total - first)


def disturb(place: Place, draw: random.Random, reference: Reference, number: int = signal.SIGKILL) -> str | None:
    """Starts the run and signals it at a random moment: one kill in five at its start, the others while cells are at work.

    Returns what happened, or None where the run had come to its end before.
    """
    early = number == signal.SIGKILL and draw.random() < 0.2
    wait = draw.uniform(0, reference.start) if early else draw.uniform(0, reference.work / 4)
    began = time.time()
    run = place.start()
    while not early and run.poll() is None and not place.at_work(began):
        time.sleep(0.01)
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(timeout=wait)
    ended = run.poll() is not None
    if not ended:
        run.send_signal(number)
    code = run.wait(timeout=60)
    place.check()
    if ended and code != 0:
        raise Broken(f"a run that nobody had signalled ended with {code}")
    if number == signal.SIGINT and code not in (130, 0):
        raise Broken(f"Ctrl-C ended the run with {code}, not 130:\n{(place.folder / 'log.txt').read_text()[-2000:]}")
    if ended or code == 0:
        return None
    return f"{signal.Signals(number).name} after {time.time() - began:.1f} s, {len(place.records())} records"


@dataclass
class Tally:
    """What was counted. compared: final records held against the undisturbed run's."""

    kills: int = 0
    early: int = 0
    rounds: int = 0
    compared: int = 0
    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FAULTS, 0))

    def finish(self, place: Place, reference: Reference) -> None:
        """Lets a round go on to its end, and compares."""
        records = place.finish()
        same(records, reference.records)
        self.rounds += 1
        self.compared += len(records)

    def table(self) -> str:
        """The counts in Markdown."""
        rows = {
            "kills by SIGKILL at a random moment": self.kills,
            "of them before any record was there": self.early,
            "runs that went on to their end": self.rounds,
            "final records compared with an undisturbed run's": self.compared,
            **{FAULTS[kind]: count for kind, count in self.faults.items()},
        }
        return "\n".join(["| counted | number |", "|---|---|", *(f"| {what} | {count} |" for what, count in rows.items())])


def main() -> int:
    """Kills `--times` times; starts over in a new folder whenever a run got to its end or a promise was broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=20, help="how many kills")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    draw, tally = random.Random(arguments.seed), Tally()
    folder = Path(tempfile.mkdtemp(prefix="kill-at-random-"))
    places = (Place(folder / f"round{number}") for number in itertools.count())
    try:
        reference = undisturbed(folder / "undisturbed")
        print(f"undisturbed: {len(reference.records)} records in {reference.start:.1f} + {reference.work:.1f} s", flush=True)
        place = next(places)
        while tally.kills < arguments.times or place.seen:
            try:
                said = disturb(place, draw, reference) if tally.kills < arguments.times else None
                if said:
                    tally.kills += 1
                    tally.early += not place.seen
                    print(f"{tally.kills:3}  {said}", flush=True)
                    continue
                tally.finish(place, reference)
            except Broken as error:
                tally.faults[error.kind] += 1
                print(f"broken ({error.kind}): {error}", flush=True)
            shutil.rmtree(place.folder, ignore_errors=True)
            place = next(places)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\nseed {arguments.seed}:\n\n{tally.table()}")
    return int(any(tally.faults.values()))


if __name__ == "__main__":
    sys.exit(main())
