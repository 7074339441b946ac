"""The fork servers and the run around them; what single cells may do is in test_zoo.py."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from benchmark.executors.client import ForkServer, clean_environment
from benchmark.executors.meter import Limits
from benchmark.ground.errors import UserError
from benchmark.store import ROOT, Cache, Results

HOSTILE = Path(__file__).parent / "hostile"
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("lab")]  # one bench serves them all


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
