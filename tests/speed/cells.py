"""What a run costs beside its fits and scores, from a thousand cells to a hundred thousand.

    PYTHONPATH=. python tests/speed/cells.py --write    # some minutes; writes the table of docs/cluster.md
    PYTHONPATH=. python tests/speed/cells.py --smoke    # seconds; what CI runs

Every number of the table is a ratio of CPU seconds of one process in one run, with one thread.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from benchmark.api import Silent, work
from benchmark.executors.order import in_order
from benchmark.plan import Cell, plan
from benchmark.report.markdown import generated
from benchmark.runner import Outcome
from benchmark.store import ROOT, Cache, Results
from tests.speed.growth import method_cost
from tests.speed.side_by_side import rewrite, smoke_or_write

PAGE = ROOT / "docs" / "cluster.md"
METHODS = ("chance", "pixels_kmeans", "pca_kmeans", "random_encoder", "gmm")
DATASETS = ("digits", "usps", "mnist-test", "shapes")
SMALL_FIT = {"n": 1000, "d": 16, "k": 4}


def seconds(what: Callable[[], Any]) -> tuple[float, Any]:
    """(CPU seconds of a call, what it returned)."""
    began = time.process_time()
    result = what()
    return time.process_time() - began, result


class Nobody:
    """A crew whose cells are done as soon as they are sent."""

    def slots(self) -> int:
        """As a middling cluster."""
        return 64

    def submit(self, cell: Cell) -> Future[Any]:
        """Done at once."""
        future: Future[Any] = Future()
        future.set_result(None)
        return future

    def outcome(self, cell: Cell, future: Future[Any]) -> Outcome:
        """Nothing was measured."""
        return Outcome(cell, {}, False)


def cells_cost(count: int, folder: Path) -> dict[str, float]:
    """CPU seconds of each step of a run of `count` made-up cells, fits and scores left out."""
    results, cache = Results(folder / f"results{count}"), Cache(folder / "cache")
    template = next(found for _, found in Results.committed().records() if found["method"] == "dec" and found["state"] == "ok")
    seeds = math.ceil(count / len(METHODS) / len(DATASETS))
    chosen = {"method_names": METHODS, "dataset_names": DATASETS, "seeds": seeds, "budget": "quick", "track": "transductive"}

    def planned() -> list[Cell]:
        cells = plan(**chosen)
        return [cell for cell in cells if cell.fit_fingerprint]

    def written() -> None:
        for cell in cells:
            own = {name: getattr(cell, name) for name in ("method", "dataset", "seed", "fit_fingerprint")}
            results.write(cell.key, {**template, **own})

    cost = {}
    cost["plan and fingerprint"], cells = seconds(planned)
    cost["order, send, take back"], _ = seconds(lambda: list(in_order(cells, Nobody(), watcher=Silent(), cost=lambda _: 0.0)))
    cost["write records"], _ = seconds(written)
    cost["see what is fresh"], todo = seconds(lambda: work(cells, results, cache))
    assert not todo.train
    cost["board and tables"], _ = seconds(lambda: generated(results))
    shutil.rmtree(results.root)
    return cost


def row(words: Sequence[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(words) + " |\n"


def measured(smoke: bool) -> tuple[dict[str, float], str]:
    """CPU seconds of each step of the largest run; the table of all, as multiples of the smallest, and beside one small fit."""
    counts = (20, 200) if smoke else (1_000, 10_000, 100_000)
    one_fit = method_cost("ae_kmeans", **SMALL_FIT, clusters=False)
    folder = Path(tempfile.mkdtemp(prefix="cells-"))
    try:
        cells_cost(20, folder)  # what a process does once is not the cells'
        costs = [cells_cost(count, folder) for count in counts]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = row(["step", *[f"{count:,} cells" for count in counts], "a cell, of one small fit"])
    text += row(["---", *["---:"] * (len(counts) + 1)])
    for step in costs[0]:
        ratios = [f"×{cost[step] / costs[0][step]:.3g}" for cost in costs]
        text += row([step, *ratios, f"{100 * costs[-1][step] / counts[-1] / one_fit:.2g} %"])
    return costs[-1], f"{text}\nOne small fit is the training of `ae_kmeans` for one epoch, n = 1,000, d = 16, k = 4.\n"


def main() -> int:
    """Measures; writes the page where asked."""
    given = smoke_or_write(__doc__).parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        costs, text = measured(given.smoke)
    print(text, flush=True)
    if given.write:
        rewrite("cost of cells", text, PAGE)
    print(json.dumps({step: {"ours": cost} for step, cost in costs.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
