"""What a folder of records is said to hold before anything is run."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_report import record

from benchmark.plan import Cell
from benchmark.status import status
from benchmark.store import Cache, Results


def cell(seed: int, method: str = "gmm", dataset: str = "digits") -> Cell:
    """A cell of the quick suite's kind."""
    return Cell(method, dataset, "transductive", "quick", seed)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Records of seeds 0 to 7, each in another state."""
    place = Results(tmp_path / "results")
    made = [record(cell(seed), acc=0.5) for seed in range(9)]
    made[1]["fit_fingerprint"] = "old"
    made[2]["score_fingerprints"] = {"acc": "old"}
    made[3] |= {"state": "timeout", "reason": "went over 900 seconds"}
    made[4] |= {"state": "missing", "reason": "no file"}
    other = Cell("gmm", "digits", "transductive", "quick", 7, changes={"components": 40})
    made[7] |= {"changes": dict(other.changes), "fit_fingerprint": other.fit_fingerprint}
    for seed in (0, 1, 2, 3, 4, 5, 7, 8):
        place.write(cell(seed).key, made[seed])
    place.path(cell(5).key).write_text("{", encoding="utf-8")
    place.path(cell(8).key).write_text('{"schema": 9}', encoding="utf-8")
    return place


def test_each_cell_is_in_one_state(results: Results, tmp_path: Path) -> None:
    """Fresh, to score, stale, failed, without data, missing, broken: each is told apart, and a run's work follows."""
    cells = [cell(seed) for seed in range(9)] + [cell(0, "ward", "mnist")]
    found = status(cells, results, Cache(tmp_path / "cache"))
    words = [found.words[one.key] for one in cells]
    kinds = ["fresh", "stale", "to score", "failed", "no data", "broken", "missing", "other settings", "broken", "not applicable"]
    assert words == kinds
    assert {one.seed for one in found.work.train if one.method == "gmm"} == {1, 4, 5, 6}
    assert [outcome.cell.seed for outcome in found.work.settled] == [3]
    assert (
        found.totals()
        == "1 fresh, 1 to score, 1 stale, 1 failed, 1 no data, 1 missing, 2 broken, 1 other settings, 1 not applicable"
    )
    assert len(found.notes) == 3
    assert "1 fresh, 1 to score, 1 stale" in found.table()
    assert found.table().rstrip().endswith("–")


def test_nothing_to_say_of_no_records(tmp_path: Path) -> None:
    """In an empty folder everything is missing, and a run would train it all."""
    cells = [cell(seed) for seed in range(2)]
    found = status(cells, Results(tmp_path), Cache(tmp_path))
    assert (found.totals(), len(found.work.train), found.notes) == ("2 missing", 2, [])
    assert not list(tmp_path.iterdir())
