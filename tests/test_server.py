"""Cells that go wrong: each is a record with its state and a reason, nothing of it is left, and the run goes on."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmark.executors.client import ForkServer, Limits, clean_environment
from benchmark.ground.errors import UserError
from benchmark.store import ROOT, Cache, Results

LIMITS = Limits(wall_seconds=15, cpu_seconds=3, memory_mib=1400)
HOSTILE = Path(__file__).parent / "hostile"
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("lab")]  # one bench serves them all


@pytest.fixture(scope="module", autouse=True)
def small_limits(lab: Any) -> Iterator[None]:
    """Small limits for the lab, while these tests run."""
    before = lab.bench.settings
    lab.bench.settings = dataclasses.replace(before, limits=LIMITS)
    yield
    lab.bench.settings = before


def gone(lab: Any, seconds: float = 10) -> bool:
    """Whether no process of the lab but its servers lives, or all end within some seconds."""
    end = time.monotonic() + seconds
    while strays := lab.strays():
        if time.monotonic() > end:
            print(strays)
            return False
        time.sleep(0.1)
    return True


CASES = [
    ("loops_for_ever", {}, "timeout", "went over 15 wall seconds"),
    ("burns_in_a_child", {}, "timeout", "went over 3 cpu seconds"),
    ("allocates", {}, "out_of_memory", "went over 1400 MiB of memory"),
    ("leaves", {"code": 0}, "failed", "the child left with exit code 0 and wrote no outputs"),
    ("leaves", {"code": 7}, "failed", "the child left with exit code 7 and wrote no outputs"),
    ("kills_itself", {}, "out_of_memory", "the child was killed by signal 9 and wrote no outputs"),
    ("gives_nan", {}, "diverged", "3 of 600 embeddings are not finite"),
    ("loses_its_loss", {}, "diverged", "loss became nan in epoch 2"),
    ("fails_at_import", {}, "failed", "RuntimeError: not today"),
    ("gives_wrong_shapes", {"offence": "short"}, "failed", "assignments are int64 [599]; allowed: integers [600] in 0..k-1"),
    ("gives_wrong_shapes", {"offence": "columns"}, "failed", "assignments are int64 [600, 1]; allowed"),
    ("gives_wrong_shapes", {"offence": "floats"}, "failed", "assignments are float32 [600]; allowed: integers"),
    ("gives_wrong_shapes", {"offence": "negative"}, "failed", "assignments reach down to -2; allowed: 0..k-1, and -1 for noise"),
    ("gives_wrong_shapes", {"offence": "rows"}, "failed", "embeddings have shape [3, 2]; allowed: [600, d]"),
    ("gives_wrong_shapes", {"offence": "sums"}, "failed", "rows that sum to 12..12; allowed: 1"),
]


@pytest.mark.parametrize(("method", "changes", "state", "reason"), CASES)
def test_what_goes_wrong_is_a_record(method: str, changes: dict[str, Any], state: str, reason: str, lab: Any) -> None:
    """A bad cell gets its state and a reason in one line, leaves no process and no file, and the next cell is fine."""
    record = lab.run(method, **changes)
    assert (record["state"], reason in record["reason"]) == (state, True), record["reason"]
    assert "\n" not in record["reason"]
    assert record["scores"] == {}
    assert record["cost"]["wall_seconds"] > 0
    assert gone(lab)
    assert lab.half_written() == []
    assert not lab.bench.outputs(lab.cell(method, **changes)).exists()
    assert lab.run("chance")["state"] == "ok"


def test_few_clusters_are_a_flag_on_a_scored_row(lab: Any) -> None:
    """A method that uses fewer clusters than k is scored, and flagged as collapsed."""
    record = lab.run("uses_few_clusters")
    assert (record["state"], record["flags"], record["k_used"]) == ("ok", ["collapsed"], 2)
    assert record["scores"]["acc"] > 0


@pytest.mark.parametrize("detached", [False, True])
def test_a_child_left_behind_ends_with_its_cell(detached: bool, lab: Any) -> None:
    """A process that a method leaves behind, in its session or in one of its own, ends with the cell."""
    record = lab.run("leaves_a_child", detached=detached)
    assert record["state"] == "ok", record["reason"]
    assert gone(lab)


def test_neighbours_of_a_bad_cell_are_fine(lab: Any) -> None:
    """Cells that run beside one that is killed at a limit end well."""
    from benchmark.api import Silent
    from benchmark.executors.local import run_cells

    cells = [lab.cell("burns_in_a_child", seed=1), *(lab.cell("leaves_a_child", seed=seed, seconds=0.5) for seed in range(4))]
    states = {
        outcome.cell.key: outcome.record["state"] for outcome in run_cells(cells, lab.bench.run_cell, jobs=2, watcher=Silent())
    }
    assert [states[cell.key] for cell in cells] == ["timeout", "ok", "ok", "ok", "ok"]
    assert gone(lab)


def test_a_run_with_bad_cells_goes_on_and_says_which(tmp_path: Path) -> None:
    """A run ends with exit code 1 and a list of what failed or is missing; the other cells have good records."""
    methods, sets = ["pixels_kmeans", "leaves", "fails_at_import"], ["blobs", "usps"]
    command = [sys.executable, str(ROOT / "run_all.py"), "run", "--budget", "smoke", "--seeds", "1", "--jobs", "1"]
    command += ["--methods", ",".join(methods), "--datasets", ",".join(sets), "--results", str(tmp_path / "results")]
    command += ["--plugin", str(HOSTILE / "leaves.py"), "--plugin", str(HOSTILE / "fails_at_import.py")]
    env = {**os.environ, "BLINDBENCH_CACHE": str(tmp_path / "cache")}
    env.pop("BLINDBENCH_DATA", None)
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
    listed = ended.stderr.splitlines()
    records = {key.partition("/transductive")[0]: record for key, record in Results(tmp_path / "results").records()}
    states = {key: record["state"] for key, record in records.items()}
    assert states == {
        "blobs/pixels_kmeans": "ok",
        "blobs/leaves": "failed",
        "blobs/fails_at_import": "failed",
        **{f"usps/{method}": "missing" for method in methods},
    }
    for key, state in states.items():
        assert sum(line.startswith(f"{state}: {key}/") for line in listed) == (state != "ok")
    reason = records["usps/pixels_kmeans"]["reason"]
    assert "usps" in reason
    assert "\n" not in reason
    assert "5 cells did not end well" in ended.stderr
    assert not list(tmp_path.rglob(".*.part"))
    assert sorted(Cache(tmp_path / "cache").outputs.glob("*/assign.npy"))


def test_a_job_s_clock_starts_at_its_fork(lab: Any) -> None:
    """The wall clock of a job is its own: the time in which its server still imports does not count against its limit."""
    folder, server = lab.folder / "slow", lab.bench.blind
    folder.mkdir()
    server._process.send_signal(signal.SIGSTOP)
    waking = threading.Timer(3, server._process.send_signal, [signal.SIGCONT])
    waking.start()
    ended = server.run({}, folder=folder, scratch=folder, limits=Limits(2.5, 60, 4000))
    waking.join()
    assert ended.limit is None
    assert ended.wall_seconds < 2.5


def test_a_server_that_can_t_start_is_an_error(tmp_path: Path) -> None:
    """A fork server whose imports fail ends the run with words, never as if there had been nothing to do."""
    (tmp_path / "scratch").mkdir()
    with (
        ForkServer("benchmark.no_such_module", code=ROOT, env=clean_environment(1)) as server,
        pytest.raises(UserError, match=r"the process that forks benchmark\.no_such_module ended with 1"),
    ):
        server.run({}, folder=tmp_path, scratch=tmp_path / "scratch", limits=Limits(60, 60, 10_000))


def test_a_child_s_temporary_folder_is_its_own(lab: Any) -> None:
    """Python's tempfile in a child points into the cell's own folder, not where the server looked first."""
    record = lab.run("uses_tempfile", home=str(lab.bench.cache.scratch))
    assert (record["state"], record["reason"]) == ("ok", None)


def test_clusters_beyond_k_are_refused(lab: Any) -> None:
    """A method that was told k and uses a higher number has failed; more clusters would lift purity and NMI."""
    record = lab.run("beyond_k")
    assert record["state"] == "failed"
    assert "told k = " in record["reason"]
