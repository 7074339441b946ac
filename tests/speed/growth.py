"""How the cost of scores and methods grows with samples, dimensions and clusters.

    PYTHONPATH=. python tests/speed/growth.py            # half an hour, one core, up to a million samples
    PYTHONPATH=. python tests/speed/growth.py --write    # and writes the tables and the figure of docs/performance.md
    PYTHONPATH=. python tests/speed/growth.py --smoke    # seconds; what CI runs

CPU seconds of one process with one thread. A slope is that of a straight line through log cost over log size, from the first
size that takes half a millisecond; where a step took more than a minute, the next one is left out.
"""

from __future__ import annotations

import json
import math
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import methods
import metrics
from benchmark.store import ROOT
from benchmark.worker import Clusterer, seed_everything
from datasets.base import Inputs
from methods.run import Run
from metrics.evidence import Evidence
from tests.speed.side_by_side import PAGE, machine, rewrite, smoke_or_write

START = {"n": 10_000, "d": 16, "k": 10}
AXES = {"n": (1_000, 10_000, 100_000, 1_000_000), "d": (10, 64, 256, 1024, 2048), "k": (10, 30, 100, 300, 1000)}
SMALL = {"n": (200, 400), "d": (4, 8), "k": (3, 6)}
TESTED = 1000  # rows that kNN and probe are asked for, whatever n is
METHODS = ("pixels_kmeans", "gmm", "spectral", "ward", "umap_gmm", "ae_kmeans")
FLOOR, CAP = 0.0005, 60.0  # CPU seconds
STEEP = 0.15  # above the slope of n log n
BLOCK = 1 << 16  # rows drawn at a time, so that drawing is not the peak
FIGURE = ROOT / "docs" / "growth.svg"

Costs = dict[str, dict[str, list[tuple[int, float]]]]  # name -> axis -> (size, CPU seconds)


def arrays(need: str, n: int, d: int, k: int) -> dict[str, np.ndarray]:
    """The evidence that a need of a metric's card stands for: classes that overlap, clusters that are mostly right."""
    draws = np.random.default_rng(0)
    true = draws.integers(k, size=n)
    labels = {"labels_true": true, "labels_pred": np.where(draws.random(n) < 0.7, true, draws.integers(k, size=n))}
    if need == "train_contingency":
        return {f"{name}_train": values for name, values in labels.items()}
    if need == "soft":
        soft = draws.random((n, k), dtype=np.float32)
        return {"soft": soft / soft.sum(1, keepdims=True)}
    if need in ("embeddings", "split", "neighbours"):
        rows = draws.standard_normal((n, d), dtype=np.float32)
        centres = draws.standard_normal((k, d), dtype=np.float32)
        for start in range(0, n, BLOCK):
            rows[start : start + BLOCK] += centres[true[start : start + BLOCK]]
        if need == "embeddings":
            return {"embeddings": rows}
        few = draws.integers(n, size=TESTED)
        noise = draws.standard_normal((TESTED, d), dtype=np.float32)
        names = ("embeddings_train", "labels_train", "embeddings_test", "labels_test")
        return dict(zip(names, (rows, true, rows[few] + noise, true[few]), strict=True))
    return {"contingency": labels, "clusters": {"labels_pred": labels["labels_pred"]}}.get(need) or {need: labels[need]}


def evidence_for(names: str, size: Mapping[str, int]) -> dict[str, np.ndarray]:
    """All that the named metrics need."""
    needs = {need for name in names.split() for need in metrics.card(name).needs}
    return {key: values for need in sorted(needs) for key, values in arrays(need, **size).items()}


def cheapest(what: Callable[[], Any]) -> float:
    """CPU seconds of a call: the least of up to five, which take two seconds together."""
    taken: list[float] = []
    while len(taken) < 5 and sum(taken) < 2:
        began = time.process_time()
        what()
        taken.append(time.process_time() - began)
    return min(taken)


def metric_cost(name: str, **size: int) -> float:
    """CPU seconds of one metric on evidence that no other has looked at."""
    given = evidence_for(name, size)
    return cheapest(lambda: metrics.get(name).measure(Evidence(**given)))


def method_cost(name: str, *, n: int, d: int, k: int, clusters: bool = True) -> float:
    """CPU seconds of a fit; an autoencoder trains for one epoch.

    clusters: whether the harness's k-means counts, for a method that leaves its clusters to it.
    """
    rows = torch.from_numpy(arrays("embeddings", n, d, k)["embeddings"])
    changes = {"epochs": 1, "least_steps": 1} if name == "ae_kmeans" else {}
    config = methods.configure(name, kind="vector", budget="full", changes=changes)

    def fit() -> None:
        seed_everything(0)
        method = methods.get(name)(**config)
        method.fit(Inputs("vector", rows), k, Run(seed=0))
        if clusters:
            Clusterer(k, 0, told=k).of(method, rows, starts=Clusterer.STARTS)

    return cheapest(fit)


def grown(names: tuple[str, ...], cost: Callable[..., float], axes: Mapping[str, tuple[int, ...]]) -> Costs:
    """Costs of everything named, one quantity at a time; a method isn't asked for more rows than its card says."""
    found: Costs = {}
    start = {axis: min(START[axis], sizes[-1]) for axis, sizes in axes.items()}
    for name in names:
        most = methods.card(name).max_n or math.inf if cost is method_cost else math.inf
        for axis, sizes in axes.items():
            line = found.setdefault(name, {}).setdefault(axis, [])
            for size in sizes:
                if (line and line[-1][1] > CAP) or (axis == "n" and size > most):
                    break
                line.append((size, cost(name, **{**start, axis: size})))
            print(name, axis, *(f"{size}: {seconds:.4g}" for size, seconds in line), flush=True)
    return found


def slope(line: list[tuple[int, float]]) -> float | None:
    """Of log cost over log size, from FLOOR on; None below two such sizes."""
    points = [(math.log(size), math.log(seconds)) for size, seconds in line if seconds >= FLOOR]
    return float(np.polyfit(*zip(*points, strict=True), 1)[0]) if len(points) > 1 else None


def steep(line: list[tuple[int, float]]) -> bool:
    """Whether cost grows faster than n log n over the same sizes."""
    sizes = [size for size, seconds in line if seconds >= FLOOR]
    found = slope(line)
    return found is not None and found > (slope([(size, size * math.log(size)) for size in sizes]) or 1.0) + STEEP


def table(costs: Costs) -> str:
    """Slopes, one row a name; blank where all sizes take less than FLOOR, bold where steeper than n log n."""
    text = "| | n | d | k | largest n |\n| --- | ---: | ---: | ---: | ---: |\n"
    for name, lines in costs.items():
        said = {axis: slope(line) for axis, line in lines.items()}
        if any(value is not None for value in said.values()):
            cells = ["" if said[a] is None else f"{said[a]:.2f}" for a in ("n", "d", "k")]
            cells = [f"**{cell}**" if steep(lines[axis]) else cell for axis, cell in zip("ndk", cells, strict=True)]
            text += f"| `{name}` | {' | '.join(cells)} | {lines['n'][-1][0]:,} |\n"
    return text


def named(costs: Costs) -> str:
    """What is steeper than n log n, in words."""
    found = [f"`{name}` in {axis}" for name, lines in costs.items() for axis, line in lines.items() if steep(line)]
    return f"Steeper than n log n: {', '.join(found)}." if found else "Nothing is steeper than n log n."


def draw(all_costs: Mapping[str, Costs]) -> None:
    """Cost over size, log-log: a row of panels for scores, one for methods."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update(
        {"svg.hashsalt": "growth", "svg.fonttype": "none", "font.size": 8, "axes.spines.top": False, "axes.spines.right": False}
    )
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(len(all_costs), len(AXES), figsize=(11, 4 * len(all_costs)), squeeze=False)
    for row, (title, costs) in zip(panels, all_costs.items(), strict=True):
        shown = [name for name, lines in costs.items() if any(slope(line) is not None for line in lines.values())]
        for panel, axis in zip(row, AXES, strict=True):
            for i, name in enumerate(shown):
                colour, dash = pyplot.get_cmap("tab10")(i % 10), ("-", "--", ":")[i // 10 % 3]
                panel.loglog(*zip(*costs[name][axis], strict=True), dash, marker=".", color=colour, label=name, linewidth=1.2)
            panel.set(xlabel=axis, ylabel="CPU seconds", title=f"{title}, {axis}")
            panel.grid(alpha=0.25)
        row[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    figure.tight_layout()
    figure.savefig(FIGURE, metadata={"Date": None})


def main() -> int:
    """Measures; writes where asked."""
    given = smoke_or_write(__doc__).parse_args()
    torch.set_num_threads(1)
    axes = SMALL if given.smoke else AXES
    scored = ("acc", "knn", "silhouette") if given.smoke else tuple(metrics.names())
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = grown(scored, metric_cost, axes)
        fits = grown(METHODS[:2] if given.smoke else METHODS, method_cost, axes)
    print(table(scores), named(scores), table(fits), named(fits), sep="\n")
    if given.write:
        draw({"Scores": scores, "Methods": fits})
        start = ", ".join(f"{axis} = {value:,}" for axis, value in START.items())
        head = f"{machine()}; one thread. From {start}, one quantity at a time.\n\n![cost over size]({FIGURE.name})\n\n"
        text = f"{head}{table(scores)}\n{named(scores)}\n\n{table(fits)}\n{named(fits)}\n"
        rewrite("growth.py", text, PAGE)
    said = {"scores": scores, "methods": fits}
    print(json.dumps({what: {"ours": sum(line["n"][-1][1] for line in costs.values())} for what, costs in said.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
