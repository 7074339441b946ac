"""Same cells, same machine, same threads: same bytes, in any order, for any number of jobs, parts kept or made anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benchmark.api import Silent
from benchmark.executors.local import run_cells
from benchmark.ground.files import remove
from benchmark.plan import plan

MEASURED = ("state", "scores", "contingency", "oracle_gap", "snapshot_scores", "curve", "notes", "k_used", "fit_fingerprint")
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("lab")]  # one bench serves them all


def chosen() -> list[Any]:
    """Two seeds of methods with and without randomness, parts included."""
    methods = ["chance", "pixels_kmeans", "gmm", "dec", "idec"]
    return plan(method_names=methods, dataset_names=["blobs"], seeds=2, budget="smoke", track="transductive")


@pytest.fixture(scope="module")
def one_job(lab: Any) -> Any:
    """The lab, after the cells were run in it one at a time; its cache began empty."""
    list(run_cells(chosen(), lab.bench.run_cell, jobs=1, watcher=Silent()))
    return lab


@pytest.fixture(scope="module")
def two_jobs(open_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A lab in which the cells were run two at a time, in another order, from an empty cache of its own."""
    with open_lab(tmp_path_factory.mktemp("two_jobs")) as lab:
        cells = sorted(chosen(), key=lambda cell: (bool(cell.parts), -cell.seed))
        list(run_cells(cells, lab.bench.run_cell, jobs=2, watcher=Silent()))
        yield lab


def test_two_runs_give_the_same_bytes_and_scores(one_job: Any, two_jobs: Any) -> None:
    """From two empty caches, with one job and with two, every output byte and everything measured is the same."""
    for cell in chosen():
        first, second = (lab.bench.settings.results.read(cell.key) for lab in (one_job, two_jobs))
        assert first["state"] == "ok", first["reason"]
        assert {name: first[name] for name in MEASURED} == {name: second[name] for name in MEASURED}, cell.key
        assert one_job.arrays(cell) == two_jobs.arrays(cell), cell.key
        assert "assign.npy" in one_job.arrays(cell)


def test_seeds_differ(one_job: Any) -> None:
    """Two seeds of a random method give different outputs, so that equal bytes mean something."""
    for method in ("chance", "dec"):
        assert one_job.arrays(one_job.cell(method, seed=0)) != one_job.arrays(one_job.cell(method, seed=1))


@pytest.mark.parametrize("anew", [["dec"], ["dec", "ae_kmeans"]])
def test_a_part_from_the_cache_is_as_good_as_a_new_one(anew: list[str], one_job: Any) -> None:
    """DEC's outputs are the same whether its autoencoder comes from the cache or is trained again."""
    before = {name: one_job.arrays(one_job.cell(name)) for name in ("dec", "ae_kmeans")}
    for name in anew:
        remove(one_job.bench.outputs(one_job.cell(name)))
    for cell in one_job.cells("dec"):
        outcome = one_job.bench.run_cell(cell)
        assert outcome.trained == (cell.method in anew)
    assert {name: one_job.arrays(one_job.cell(name)) for name in ("dec", "ae_kmeans")} == before
