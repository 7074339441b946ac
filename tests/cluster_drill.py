"""Runs on clusters of this machine, disturbed in every way a cluster is, and what became of each, as a small table.

    python tests/cluster_drill.py            # some minutes
    python tests/cluster_drill.py --only "worker killed"

After each disturbance the next run finishes: every cell has one record, equal to that of an undisturbed local run but for cost
and date, nothing is half-written, and no process is left.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from kill_at_random import HOSTILE, ROOT, Broken, Place, living, same

SLOW = "leaves_a_child"  # the cell in which things happen: it sleeps
LOCAL_QUEUE = 'kind = "local"\ncores = 1\nmemory = "2GB"\nwalltime = "00:10:00"\n'
PATIENCE_SECONDS = 120


@dataclass
class Ground(Place):
    """A folder with cache and results, in which runs are started on whatever cluster."""

    seconds: float = 3.0
    log: str = ""
    env: dict[str, str] = field(default_factory=dict)

    def begin(self, *executor: str, driver: tuple[str, ...] = (str(ROOT / "run_all.py"),)) -> subprocess.Popen[bytes]:
        """Starts or goes on with the run."""
        command = [sys.executable, *driver, "run", "--budget", "smoke", "--seeds", "1", "--track", "transductive"]
        command += [
            "--methods",
            f"chance,pixels_kmeans,dec,{SLOW}",
            "--datasets",
            "blobs",
            "--results",
            str(self.folder / "results"),
        ]
        command += ["--plugin", str(HOSTILE / f"{SLOW}.py"), "--set", f"{SLOW}.seconds={self.seconds}", *executor]
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.txt").open("wb") as log:
            env = environment(self.folder / "cache")
            return subprocess.Popen(
                command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def end(self, run: subprocess.Popen[bytes]) -> int:
        """Waits for a run's end; its exit code. Its words are in `log`."""
        code = run.wait(timeout=PATIENCE_SECONDS)
        self.log = (self.folder / "log.txt").read_text(encoding="utf-8", errors="replace")
        return code

    def whole(self) -> dict[str, dict]:
        """The records, after a run that ended well: nothing is half-written, and the run told of each cell once."""
        if parts := sorted(self.folder.rglob(".*.part")):
            raise Broken(f"left half-written: {parts}")
        return self.records()

    def job(self, run: subprocess.Popen[bytes]) -> psutil.Process:
        """The process of the slow cell, once it is at work: it has a child that sleeps."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end and run.poll() is None:
            for process in psutil.process_iter():
                with contextlib.suppress(psutil.Error):
                    if process.name() == "sleep" and str(self.folder) in process.cwd():
                        return process.parent()
            time.sleep(0.05)
        raise Broken(f"the slow cell never began:\n{(self.folder / 'log.txt').read_text()[-3000:]}")

    def empty(self) -> None:
        """Waits until no process of a cell is left."""
        end = time.monotonic() + 15
        while left := living(self.folder / "cache"):
            if time.monotonic() > end:
                raise Broken(f"processes are left: {left}")
            time.sleep(0.1)


def environment(cache: Path) -> dict[str, str]:
    """The environment of runs and workers."""
    env = {**os.environ, "BLINDBENCH_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    env.pop("BLINDBENCH_DATA", None)
    return env


@dataclass
class Dask:
    """A scheduler and its workers, as a user starts them."""

    folder: Path
    workers: int = 1
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, *more: str) -> str:
        """Starts them; the scheduler's address."""
        self.folder.mkdir(parents=True, exist_ok=True)
        address = self.folder / "scheduler.json"
        address.unlink(missing_ok=True)
        self._start("dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(address))
        end = time.monotonic() + PATIENCE_SECONDS
        while not address.is_file() or not address.read_text().strip():
            if time.monotonic() > end:
                raise Broken("no scheduler started")
            time.sleep(0.1)
        for _ in range(self.workers):
            self._start("dask_worker", "--scheduler-file", str(address), "--nthreads", "1", "--no-dashboard", *more)
        return str(json.loads(address.read_text())["address"])

    def _start(self, module: str, *words: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *words]
        with (self.folder / "dask.txt").open("ab") as log:
            env = environment(self.folder / "cache-of-workers")
            self.processes.append(
                subprocess.Popen(
                    command, env=env, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            )

    def kill_scheduler(self) -> None:
        """SIGKILL, as when its machine goes down."""
        self.processes[0].kill()

    def stop(self) -> None:
        """Ends all of them."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()


@contextlib.contextmanager
def dask(folder: Path, workers: int = 1, *more: str) -> Iterator[tuple[Dask, str]]:
    """A running cluster and its address."""
    cluster = Dask(folder, workers)
    try:
        yield cluster, cluster.start(*more)
    finally:
        cluster.stop()


def worker_of(job: psutil.Process) -> psutil.Process:
    """The dask worker of a cell's process: the one that started the server which forked it."""
    server = job.parent()
    assert server is not None
    assert "benchmark.executors.server" in " ".join(server.cmdline())
    worker = server.parent()
    assert worker is not None
    return worker


def finished(ground: Ground, code: int, wanted: dict[str, dict]) -> None:
    """Checks a run that should have ended well."""
    if code != 0 or "Traceback" in ground.log:
        raise Broken(f"the run ended with {code}:\n{ground.log[-3000:]}")
    same(ground.whole(), wanted)


def undisturbed(ground: Ground, wanted: dict[str, dict]) -> str:
    """Two worker processes of the run's own."""
    finished(ground, ground.end(ground.begin("--executor", "dask", "--jobs", "2")), wanted)
    return "records equal the local run's"


def queue(ground: Ground, wanted: dict[str, dict]) -> str:
    """Workers that dask-jobqueue starts."""
    ground.folder.mkdir(parents=True)
    (ground.folder / "queue.toml").write_text(LOCAL_QUEUE)
    code = ground.end(ground.begin("--executor", "dask", "--jobs", "1", "--cluster", str(ground.folder / "queue.toml")))
    finished(ground, code, wanted)
    return "records equal the local run's"


def killed_worker(ground: Ground, wanted: dict[str, dict]) -> str:
    """A worker is killed in the middle of a cell."""
    run = ground.begin("--executor", "dask", "--jobs", "2")
    worker_of(ground.job(run)).kill()
    finished(ground, ground.end(run), wanted)
    return "its cell ran again; records equal the local run's"


def killed_always(ground: Ground, wanted: dict[str, dict]) -> str:
    """Each worker that takes a certain cell is killed in it."""
    run, kills = ground.begin("--executor", "dask", "--jobs", "2"), 0
    while kills < 10:
        try:
            job = ground.job(run)
        except Broken:
            break
        worker_of(job).kill()
        kills += 1
        psutil.wait_procs([job], timeout=10)
    if ground.end(run) != 1:
        raise Broken(f"not exit code 1:\n{ground.log[-3000:]}")
    records = ground.records()
    (lost,) = [record for record in records.values() if record["method"] == SLOW]
    if (lost["state"], "its worker died 3 times" in lost["reason"]) != ("failed", True):
        raise Broken(f"{lost['state']}: {lost['reason']}")
    finished(ground, ground.end(ground.begin()), wanted)
    return f"killed {kills} times: a failed row, the others done; the next run finished it"


def killed_scheduler(ground: Ground, wanted: dict[str, dict]) -> str:
    """The scheduler is killed in the middle of a cell, and started again."""
    with dask(ground.folder / "dask") as (cluster, address):
        run = ground.begin("--executor", "dask", "--scheduler", address)
        ground.job(run)
        cluster.kill_scheduler()
        code = ground.end(run)
        if code != 2 or "the scheduler is gone" not in ground.log:
            raise Broken(f"not a clear error but {code}:\n{ground.log[-3000:]}")
        cluster.stop()
        address = cluster.start()
        finished(ground, ground.end(ground.begin("--executor", "dask", "--scheduler", address)), wanted)
    return "a clear error; the next run finished"


def ctrl_c_here(ground: Ground, wanted: dict[str, dict]) -> str:
    """Ctrl-C at a terminal, which reaches the run's own workers too."""
    run = ground.begin("--executor", "dask", "--jobs", "2")
    job, began = ground.job(run), time.monotonic()
    os.killpg(run.pid, signal.SIGINT)
    code = ground.end(run)
    if code != 130 or "Traceback" in ground.log:
        raise Broken(f"Ctrl-C ended the run with {code}:\n{ground.log[-3000:]}")
    psutil.wait_procs([job], timeout=10)
    took = time.monotonic() - began
    ground.empty()
    finished(ground, ground.end(ground.begin()), wanted)
    return f"stopped cleanly after {took:.0f} s; the next run finished"


def ctrl_c(ground: Ground, wanted: dict[str, dict]) -> str:
    """Ctrl-C in the middle of a remote cell, then a killed submitter; the same workers serve the next run."""
    with dask(ground.folder / "dask") as (_, address):
        said = []
        for number in (signal.SIGINT, signal.SIGKILL):
            run = ground.begin("--executor", "dask", "--scheduler", address)
            job = ground.job(run)
            began = time.monotonic()
            run.send_signal(number)
            psutil.wait_procs([job], timeout=60)
            if job.is_running() and job.status() != psutil.STATUS_ZOMBIE:
                raise Broken(f"the remote cell outlived {number.name}")
            said.append(f"{number.name}: cell gone after {time.monotonic() - began:.0f} s")
            code = ground.end(run)
            if code != (130 if number == signal.SIGINT else -9):
                raise Broken(f"{number.name} ended the run with {code}:\n{ground.log[-3000:]}")
        finished(ground, ground.end(ground.begin("--executor", "dask", "--scheduler", address)), wanted)
    return "; ".join(said) + "; the next run finished"


APART = """
import sys
from benchmark.executors import remote
from benchmark.executors.cluster import _Crew
muster = _Crew._muster
def apart(crew):
    remote.token(crew.settings.cache, crew.run).unlink()
    muster(crew)
_Crew._muster = apart
from benchmark.cli import main
sys.argv = ["run_all.py", *sys.argv[1:]]
main()
"""


def apart(ground: Ground, wanted: dict[str, dict]) -> str:
    """Two workers that don't see the submitting side's cache, each with a cache of its own."""
    with dask(ground.folder / "dask", 2) as (_, address):
        run = ground.begin("--executor", "dask", "--scheduler", address, driver=("-c", APART))
        finished(ground, ground.end(run), wanted)
    here = sorted(path.name for path in (ground.folder / "cache" / "outputs").glob("*/*"))
    if here != ["fit.json", "state.npz"]:
        raise Broken(f"came home: {here}")
    return "a part's outputs travelled; records equal the local run's"


DRILLS: dict[str, Callable[[Ground, dict[str, dict]], str]] = {
    "two workers": undisturbed,
    "dask-jobqueue": queue,
    "caches apart": apart,
    "worker killed": killed_worker,
    "worker killed always": killed_always,
    "scheduler killed": killed_scheduler,
    "ctrl-c, own workers": ctrl_c_here,
    "ctrl-c, cluster": ctrl_c,
}


def main() -> int:
    """Runs the drills, one after another."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", choices=DRILLS, help="one drill")
    arguments = parser.parse_args()
    folder, failed = Path(tempfile.mkdtemp(prefix="cluster-drill-")), 0
    try:
        reference = Ground(folder / "local")
        if reference.end(reference.begin()) != 0:
            raise Broken(reference.log)
        wanted = reference.records()
        for name, drill in DRILLS.items():
            if arguments.only in (None, name):
                ground, began = Ground(folder / name.replace(" ", "-")), time.monotonic()
                try:
                    said = drill(ground, wanted)
                    ground.empty()
                except Broken as error:
                    failed, said = failed + 1, f"BROKEN: {error}"
                print(f"{name:<22} {time.monotonic() - began:4.0f} s  {said}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
