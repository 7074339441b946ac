"""The fork servers and the run around them; what single cells may do is in test_zoo.py."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from benchmark.api import Work, work
from benchmark.executors import client
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
    again = subprocess.run([*command, "--dry-run"], env=env, capture_output=True, text=True, timeout=280, check=True)
    said = "3 cells to train, cost not known yet; 1 fresh already; 2 failed kept; --retry failed trains them again"
    assert again.stdout.splitlines()[0] == said
    retried = subprocess.run([*command, "--dry-run", "--retry", "failed"], env=env, capture_output=True, text=True, check=True)
    assert retried.stdout.splitlines()[0] == "5 cells to train, cost not known yet; 1 fresh already"
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


def test_a_server_that_died_is_replaced_and_its_cell_tried_again(lab: Any) -> None:
    """A cell whose server is killed from outside ends well, in a second attempt, and later cells have a new server."""
    dead, cell = lab.bench.blind, lab.cell("leaves_a_child", seed=7, seconds=1.5, detached=True)
    killing = threading.Timer(0.8, dead._process.kill)
    killing.start()
    assert lab.bench.run_cell(cell).record["state"] == "ok"
    killing.join()
    assert dead.gone
    assert lab.run("chance", seed=7)["state"] == "ok"
    assert lab.bench.blind is not dead
    assert lab.strays() == []


def broken_first(lab: Any, monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
    """Has the harness fail with these errors before it works."""
    fit, left = lab.bench._fit, list(numbers)

    def fails(*words: Any) -> Any:
        if left:
            raise OSError(left.pop(0), "no luck", str(lab.bench.cache.root / "x"))
        return fit(*words)

    monkeypatch.setattr(lab.bench, "_fit", fails)


def test_the_harness_s_own_errors_are_tried_once_more(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One error of the system is overcome; two are a failed row that says whose it is, which the next run tries again."""
    broken_first(lab, monkeypatch, errno.EIO)
    assert lab.run("chance", seed=8)["state"] == "ok"
    broken_first(lab, monkeypatch, errno.EIO, errno.EIO)
    record, cell = lab.run("chance", seed=9), lab.cell("chance", seed=9)
    assert (record["state"], record["flags"]) == ("failed", ["harness"])
    assert record["reason"] == "the harness: [Errno 5] no luck: '<cache>/x'"
    assert [one.key for one in chosen(lab, cell).train] == [cell.key]
    broken_first(lab, monkeypatch, errno.ENOSPC, errno.ENOSPC)
    with pytest.raises(OSError, match="no luck"):
        lab.run("chance", seed=9)


def chosen(lab: Any, cell: Any, **words: Any) -> Work:
    """What a run of one cell would do."""
    return work([cell], lab.bench.settings.results, lab.bench.cache, **words)


def test_a_failure_stays_until_something_changes(lab: Any) -> None:
    """A method's own failure is not trained again, except by --retry, --accept, or where its fit is another by now."""
    record, cell = lab.run("leaves", code=5), lab.cell("leaves", code=5)
    assert record["state"] == "failed"
    settled = chosen(lab, cell)
    assert (settled.train, settled.fresh, [one.record for one in settled.settled]) == ([], [], [record])
    assert chosen(lab, cell, retry="timeout").train == []
    for words in ({"retry": "failed"}, {"retry": "all"}, {"anew": True}):
        again = chosen(lab, cell, **words)
        assert ([one.key for one in again.train], again.settled) == ([cell.key], [])
    results, other = lab.bench.settings.results, {**record, "fit_fingerprint": "0" * 32}
    for changed in (other, {**record, "state": "missing"}, {**record, "flags": ["harness"]}):
        results.write(cell.key, changed)
        assert [one.key for one in chosen(lab, cell).train] == [cell.key]
    with pytest.raises(UserError, match="no state to retry 'fail'; did you mean 'failed'"):
        chosen(lab, cell, retry="fail")


def test_a_server_that_stops_is_replaced_and_no_neighbour_pays(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that has ended under a server which doesn't answer is no timeout: it has a second attempt, and ends well."""
    monkeypatch.setattr(client, "ANSWER_SECONDS", 1.0)
    stopped, cell = lab.bench.blind, lab.cell("leaves_a_child", seed=6, seconds=1.5)
    stopping = threading.Timer(0.8, stopped._process.send_signal, [signal.SIGSTOP])
    stopping.start()
    assert lab.bench.run_cell(cell).record["state"] == "ok"
    assert stopped.gone
    assert lab.run("chance", seed=6)["state"] == "ok"
