"""The zoo in one run: each misbehaving method gets its row, nothing of it is left, and its neighbours notice nothing."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zoo

from benchmark.api import Silent
from benchmark.executors import client
from benchmark.executors.local import run_cells
from benchmark.executors.meter import LOG_CAP_MIB
from benchmark.runner import Outcome
from benchmark.store import ROOT

NEIGHBOURS = [("dec", 0), ("pixels_kmeans", 0), ("chance", 0), ("gmm", 0)]
ASIDE = ("cost", "date")
HOSTILE = Path(__file__).parent / "hostile"
pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("zoo")]


@dataclasses.dataclass
class Visit:
    """What the zoo's run left: outcomes by cell key, the neighbours before and after, and what is left over."""

    lab: Any
    outside: Path
    outcomes: dict[str, Outcome]
    before: dict[str, Any]
    after: dict[str, Any]
    strays: list[str]

    def cell(self, animal: zoo.Animal) -> Any:
        """The cell of an animal."""
        return self.lab.cell(animal.method, **filled(animal, self.lab, self.outside))


def filled(animal: zoo.Animal, lab: Any, outside: Path) -> dict[str, Any]:
    """An animal's fields, with the places put in."""
    places = {"{label}": str(lab.bench.prepared("blobs").labels / "y.npy"), "{outside}": str(outside)}
    return {name: places.get(value, value) for name, value in animal.changes.items()}


def told(lab: Any, cell: Any) -> Any:
    """A cell's record without what differs by the clock, and the bytes of its outputs."""
    record = lab.bench.settings.results.read(cell.key)
    return {name: value for name, value in record.items() if name not in ASIDE}, lab.arrays(cell)


@pytest.fixture(scope="module")
def visit(open_lab: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    """The neighbours alone, and then, trained anew, among all animals."""
    folder, outside = tmp_path_factory.mktemp("zoo"), tmp_path_factory.mktemp("outside") / "stolen.txt"
    with open_lab(folder) as lab, pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "ANSWER_SECONDS", 2.0)
        lab.bench.settings = dataclasses.replace(lab.bench.settings, limits=zoo.LIMITS, fresh=True)
        neighbours = [cell for method, seed in NEIGHBOURS for cell in lab.cells(method, seed=seed)]
        neighbours += [lab.cell("leaves_a_child", seed=seed, seconds=4.0) for seed in (1, 2)]
        animals = [lab.cell(animal.method, **filled(animal, lab, outside)) for animal in zoo.ZOO]

        def run(cells: list[Any], jobs: int) -> dict[str, Outcome]:
            return {one.cell.key: one for one in run_cells(cells, lab.bench.run_cell, jobs=jobs, watcher=Silent())}

        run(neighbours, 2)
        before = {cell.key: told(lab, cell) for cell in neighbours}
        beside, under_a_dying_server = neighbours[:-2], neighbours[-2:]
        outcomes = run([*animals[1:4], *beside[:2], *animals[4:-2], *beside[2:]], 4)
        outcomes |= run([animals[-2], under_a_dying_server[0], animals[-1], under_a_dying_server[1]], 2)
        unhurried = dataclasses.replace(zoo.LIMITS, wall_seconds=10 * zoo.LIMITS.wall_seconds)
        lab.bench.settings = dataclasses.replace(lab.bench.settings, limits=unhurried)
        outcomes |= run(animals[:1], 1)  # a busy machine gives it little processor in 15 seconds
        time.sleep(0.5)
        after = {cell.key: told(lab, cell) for cell in neighbours}
        yield Visit(lab, outside, outcomes, before, after, [str(process) for process in lab.strays()])


@pytest.mark.parametrize("animal", zoo.ZOO, ids=lambda animal: animal.does)
def test_each_gets_its_row(animal: zoo.Animal, visit: Visit) -> None:
    """Its state comes from what happened, its reason is one line without places of this machine."""
    record = visit.lab.bench.settings.results.read(visit.cell(animal).key)
    assert (record["state"], record["flags"]) == (animal.state, [*animal.flags]), record["reason"]
    assert animal.reason in (record["reason"] or "")
    assert len(record["attempts"]) == animal.attempts, record["attempts"]
    assert "\n" not in (record["reason"] or "")
    assert str(visit.lab.folder.parent) not in json.dumps(record["attempts"]) + (record["reason"] or "")
    assert bool(record["scores"]) == (animal.state == "ok")
    assert record["cost"].get("wall_seconds", 0) > 0 or "ended the process" in animal.reason
    assert visit.lab.bench.outputs(visit.cell(animal)).exists() == (animal.state == "ok")


def test_its_neighbours_notice_nothing(visit: Visit) -> None:
    """Cells that ran beside the zoo have the records and the bytes of a run without it, though servers died under two."""
    assert visit.before.keys() == visit.after.keys()
    for key, before in visit.before.items():
        assert visit.outcomes[key].trained
        assert visit.after[key] == before, key


def test_nothing_is_left(visit: Visit) -> None:
    """No process, no half-written file, nothing outside; a log is cut, and its last word stays."""
    assert visit.strays == []
    assert visit.lab.half_written() == []
    assert not list(visit.outside.parent.iterdir())
    printed = visit.lab.bench.outputs(visit.lab.cell("misbehaves", way="prints_a_gigabyte")) / "log.txt"
    assert printed.stat().st_size < 1.1 * LOG_CAP_MIB * 2**20
    assert printed.read_text(encoding="utf-8").endswith("the last word\n")


def test_outputs_can_be_read_whatever_the_umask(visit: Visit) -> None:
    """A method's umask does not reach the outputs."""
    folder = visit.lab.bench.outputs(visit.lab.cell("misbehaves", way="changes_global_state"))
    assert {path.name: path.stat().st_mode & 0o400 for path in folder.glob("*.npy")} == {
        "assign.npy": 0o400,
        "snapshots.npy": 0o400,
    }


def test_listing_stands_a_method_that_can_t_be_imported() -> None:
    """`list` reads cards alone, so a plug-in that raises at import is listed like any other."""
    command = [sys.executable, str(ROOT / "run_all.py"), "list", "--plugin", str(HOSTILE / "fails_at_import.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fails_at_import" in done.stdout


def test_the_page_shows_this_zoo() -> None:
    """The table in docs/sweeps.md is the zoo's."""
    page = (ROOT / "docs" / "sweeps.md").read_text(encoding="utf-8")
    shown = [line for line in page.partition("| A method that")[2].partition("\n\n")[0].splitlines()[2:]]
    assert shown == [animal.row for animal in zoo.ZOO]
