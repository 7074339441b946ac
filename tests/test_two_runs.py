"""Two runs on one results folder: each cell is trained once, no record is lost, and the dead hold nothing up. Full disks."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.ground.claims import claim
from benchmark.ground.errors import UserError
from benchmark.store import ROOT, Results

HOLDS = """
import sys, time
from pathlib import Path
from benchmark.ground.claims import claim
with claim(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def holder(path: Path) -> subprocess.Popen[bytes]:
    """Another process that holds a claim."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_claim_is_one_process_s_and_dies_with_it(tmp_path: Path) -> None:
    """While another process holds a claim this one waits; a kill -9 of that process gives it free."""
    process, waited = holder(tmp_path / "c" / "x"), []

    def waits() -> None:
        if not waited:
            process.send_signal(signal.SIGKILL)
        waited.append(1)

    with process, claim(tmp_path / "c" / "x", waits=waits):
        assert waited
    assert list((tmp_path / "c").iterdir()) == []


def test_who_waits_can_be_stopped(tmp_path: Path) -> None:
    """The one who waits can leave, and the claim stays with its holder."""

    class Enough(Exception):
        pass

    def waits() -> None:
        raise Enough

    with claim(tmp_path / "x"):
        for _ in range(2):
            with pytest.raises(Enough), claim(tmp_path / "x", waits=waits):
                pass


def test_claims_of_threads_never_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight threads that take one claim five times each are in it one at a time, though its file comes and goes."""
    monkeypatch.setattr("benchmark.ground.claims.POLL_SECONDS", 0.001)
    inside, most, times = [], [], []

    def work() -> None:
        for _ in range(5):
            with claim(tmp_path / "x"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()
                times.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(times), max(most)) == (40, 1)


@pytest.mark.parametrize("accept", [[], ["--accept"]])
def test_two_runs_train_each_cell_once(accept: list[str], tmp_path: Path) -> None:
    """Two runs of the same cells at once, each with a cache of its own: every record is there, every fit is in one cache."""
    chosen = ["--methods", "chance,pixels_kmeans", "--datasets", "blobs", "--budget", "smoke", "--seeds", "2", "--jobs", "1"]
    processes = []
    for name in ("a", "b"):
        env = {**os.environ, "BLINDBENCH_CACHE": str(tmp_path / name)}
        command = [sys.executable, "run_all.py", "run", *chosen, *accept, "--results", str(tmp_path / "results")]
        processes.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    said = [process.communicate(timeout=250)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    records = dict(Results(tmp_path / "results").records())
    assert [record["state"] for record in records.values()] == ["ok"] * 4
    fits = [path.parent.name for name in ("a", "b") for path in (tmp_path / name / "outputs").glob("*/fit.json")]
    assert sorted(fits) == sorted(record["fit_fingerprint"] for record in records.values())


def refuses(number: int) -> Any:
    """A system call that the system refuses."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize("full_at", ["write_text", "write_bytes", "replace"])
def test_a_full_disk_leaves_the_old_record_whole(full_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk is full, the record and the assignments that were there stay as they were, and nothing beside them."""
    results, record = Results(tmp_path), {"schema": 1, "a": 1}
    results.write("d/m/x", record, np.zeros(5, int))
    folder = tmp_path / "records/d/m"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(Path, full_at, refuses(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        results.write("d/m/x", {**record, "a": 2}, np.ones(5, int))
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_failed_record_on_a_full_disk_takes_nothing_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Assignments go only after the record without them is written."""
    results = Results(tmp_path)
    results.write("d/m/x", {"schema": 1}, np.zeros(5, int))
    monkeypatch.setattr(Path, "write_text", refuses(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        results.write("d/m/x", {"schema": 1, "state": "failed"})
    assert sorted(path.name for path in (tmp_path / "records/d/m").iterdir()) == ["x.json", "x.npz"]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_folder_that_takes_no_records_is_said_before_training(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A results folder that can't be written is one line when a run begins, and not after hours of training."""
    monkeypatch.setattr(Path, "touch", refuses(number))
    with pytest.raises(UserError, match=f"records can't be written to .*: {os.strerror(number)}; give access or make room"):
        Results(tmp_path).tidy()
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match=r"records can't be written to .*file"):
        Results(tmp_path / "file").tidy()
