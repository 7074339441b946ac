"""What is fresh, stale, missing or failed of planned cells, and what a run of them would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tabulate import tabulate

from benchmark.api import Work, is_fresh, refuse_to_replace, work
from benchmark.ground.errors import UserError
from benchmark.plan import Cell
from benchmark.report.tables import freshness
from benchmark.schema import BadRecord
from benchmark.store import Cache, Results

WORDS = ("fresh", "to score", "stale", "failed", "no data", "missing", "broken", "other settings", "not applicable")


@dataclass(frozen=True)
class Status:
    """How planned cells stand. words: one of WORDS by key. notes: what is wrong with records that can't be read or replaced.

    work: what a run of the cells would do, those aside that it would refuse.
    """

    cells: Sequence[Cell]
    words: Mapping[str, str]
    notes: Sequence[str]
    work: Work

    def table(self) -> str:
        """Methods × datasets, how many cells of each kind; a dash where the method is not applicable."""
        counts: dict[tuple[str, str], Counter[str]] = {}
        for cell in self.cells:
            counts.setdefault((cell.method, cell.dataset), Counter())[self.words[cell.key]] += 1
        columns = list(dict.fromkeys(cell.dataset for cell in self.cells))
        rows = list(dict.fromkeys(cell.method for cell in self.cells))
        body = [[row, *[_brief(counts.get((row, column), Counter())) for column in columns]] for row in rows]
        return tabulate(body, headers=["", *columns], tablefmt="simple", disable_numparse=True)

    def totals(self) -> str:
        """How many cells there are of each kind."""
        counts = Counter(self.words.values())
        return ", ".join(f"{counts[word]} {word}" for word in WORDS if counts[word]) or "no cells"


def _brief(counts: Counter[str]) -> str:
    if set(counts) <= {"not applicable"}:
        return "–" if counts else ""
    return ", ".join(f"{counts[word]} {word}" for word in WORDS if counts[word])


def status(cells: Sequence[Cell], results: Results, cache: Cache) -> Status:
    """How planned cells stand in a results folder. Nothing is run; every record of the folder is read."""
    unreadable: list[UserError] = []
    list(results.records(unreadable))
    words, notes, refused = {}, list(map(str, unreadable)), set()
    for cell in cells:
        words[cell.key] = "broken"
        try:
            words[cell.key] = standing(cell, results)
            refuse_to_replace(results.read(cell.key), cell)
        except BadRecord:
            continue
        except UserError as error:
            refused.add(cell.key)
            if str(error) not in notes:
                words[cell.key] = "other settings"
                notes.append(str(error))
    return Status(cells, words, notes, work([cell for cell in cells if cell.key not in refused], results, cache))


def standing(cell: Cell, results: Results) -> str:
    """One of WORDS for a cell whose record, if there is one, can be read."""
    record = results.read(cell.key)
    if cell.not_applicable:
        return "not applicable"
    if record is None:
        return "missing"
    if record["state"] == "missing":
        return "no data"
    if record["state"] != "ok":
        return "failed"
    if not is_fresh(record, cell):
        return "stale"
    return "fresh" if freshness(record) == "fresh" else "to score"
