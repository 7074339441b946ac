"""What budget quick loses against full, and how much less it costs, on the same datasets and seeds."""

from __future__ import annotations

from dataclasses import replace

from benchmark.plan import Suite
from benchmark.report.beside import SCORES, difference
from benchmark.report.board import Board
from benchmark.report.marks import label
from benchmark.report.words import folded, table

INTRO = """Budget `quick` less `full`, in points, with the 95 % interval over the seeds that both have (three at least, none
stale); **bold** where it leaves out 0. *Times as cheap*: processor time of `full`, parts included, over that of `quick`."""


def quick_beside_full(board: Board, suite: Suite) -> str:
    """The table of one suite of budget full, folded; nothing where no row has both."""
    if suite.budget != "full":
        return ""
    short, body = replace(suite, budget="quick"), []
    for dataset in board.shown(suite):
        for row in board.rows(suite):
            ours, theirs = (board.find(dataset, row[0], budget, row[1]) for budget in (short, suite))
            cells = [difference(ours, theirs, name) for name in SCORES] if ours and theirs else []
            if any(cells):
                spent = [board.cost(budget, row, [dataset]) for budget in (short, suite)]
                times = f"{spent[1] / spent[0]:.1f}" if spent[0] and spent[1] else ""
                body.append([dataset, label(*row), *cells, times])
    heads = ["", "", *SCORES.values(), "times as cheap"]
    return folded("What <code>quick</code> loses", f"{INTRO}\n\n{table(heads, body, words=2)}") if body else ""
