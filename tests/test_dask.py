"""Many machines: the records of a local run, whatever dies; every cell once, nothing lost."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra 'cluster' is not installed: uv sync --extra cluster")
pytest.importorskip("dask_jobqueue", reason="the extra 'cluster' is not installed: uv sync --extra cluster")

import cluster_drill

from benchmark.executors import cluster
from benchmark.executors.order import Ready
from benchmark.ground.errors import UserError
from benchmark.plan import plan

pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("dask")]


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The records of a local run."""
    ground = cluster_drill.Ground(tmp_path_factory.mktemp("local"))
    assert ground.end(ground.begin()) == 0, ground.log
    records = ground.records()
    assert len(records) == 5
    assert all(record["state"] == "ok" for record in records.values())
    return records


@pytest.mark.parametrize("drill", ["dask-jobqueue", "worker killed", "scheduler killed"])
def test_a_cluster_gives_the_records_of_a_local_run(drill: str, wanted: dict[str, Any], tmp_path: Path) -> None:
    """Workers of a queue, two of which one is killed in a cell, a scheduler that dies: records equal but for cost and date."""
    ground = cluster_drill.Ground(tmp_path / "ground")
    cluster_drill.DRILLS[drill](ground, wanted)
    ground.empty()


def test_cells_start_in_order() -> None:
    """A part goes before what stands on it, what others wait for before the rest, and then the dearest."""
    cells = plan(
        method_names=["chance", "gmm", "dec", "idec"], dataset_names=["blobs"], seeds=1, budget="smoke", track="transductive"
    )
    costs = {"chance": 1.0, "gmm": 2.0, "dec": 5.0, "idec": 9.0}
    ready, order = Ready(cells, lambda cell: costs.get(cell.method, 0.0)), []
    while ready:
        cell = ready.pop()
        order.append(cell.method)
        if cell.method != "ae_kmeans" or len(order) > 2:
            ready.done(cell)
        elif len(order) == 1:
            part = cell
        if len(order) == 3:
            ready.done(part)
    assert order == ["ae_kmeans", "gmm", "chance", "idec", "dec"]


def test_slots_are_threads_or_gpus() -> None:
    """A cluster has a slot a thread; where cells want a GPU, one a GPU."""
    workers = [SimpleNamespace(nthreads=4, resources={"GPU": 1.0}), SimpleNamespace(nthreads=2, resources={})]
    scheduler = SimpleNamespace(running=workers)
    assert cluster._count_slots(gpu=False)(dask_scheduler=scheduler) == 6
    assert cluster._count_slots(gpu=True)(dask_scheduler=scheduler) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kind = "slrum"', "no kind of cluster 'slrum'; did you mean 'slurm'"),
        ("cores = 1", "no kind of cluster 'None'"),
        ("kind = ", "can't be read"),
        ('kind = "slurm"\ncores = 1', "memory"),
        ('kind = "slurm"\ncores = 1\nmemory = "1GB"\nqueueue = "x"', "queueue"),
    ],
)
def test_a_bad_cluster_file_is_an_error_in_words(text: str, said: str, tmp_path: Path) -> None:
    """A cluster file of unknown kind, without a kind, broken, or with a wrong argument says what is wrong."""
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(UserError, match=said):
        cluster.started_by(tmp_path / "c.toml")


def test_without_the_packages_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without distributed the executor is a clear error."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"needs the package distributed; install it: uv sync --extra cluster"):
        cluster.Cluster()._client(False).__enter__()


def test_a_worker_of_other_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker whose code is not the submitting side's, or was not when it started, takes no cell."""
    from benchmark.executors import remote
    from benchmark.store import Cache

    assert remote.look(Cache(tmp_path), "run", remote.code_address()) is False
    with pytest.raises(remote.Unfit, match="runs other code"):
        remote.look(Cache(tmp_path), "run", "0" * 32)
    monkeypatch.setattr(remote, "loaded_code", lambda: "0" * 32)
    with pytest.raises(remote.Unfit, match="runs other code"):
        remote.look(Cache(tmp_path), "run", remote.code_address())


def test_what_travels_is_written_once(tmp_path: Path) -> None:
    """Outputs that come from elsewhere are written whole, only under the names that travel, and never over others."""
    from benchmark.executors import remote
    from benchmark.store import Cache

    cache = Cache(tmp_path)
    remote.put(cache, "f", {"fit.json": b"{}", "state.npz": b"1", "../x": b"2"})
    remote.put(cache, "f", {"fit.json": b"{}", "state.npz": b"3"})
    found = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"outputs/f/fit.json": b"{}", "outputs/f/state.npz": b"1"}
