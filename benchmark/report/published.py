"""Published numbers beside ours, each with its source, and the verdict protocol v1 allows."""

from __future__ import annotations

import pandas as pd
from tabulate import tabulate

from benchmark.report.tables import Group
from benchmark.store import ROOT

FILE = ROOT / "results" / "published.csv"
MARGIN = 0.02
ORDER = {"misses": 0, "undecided": 1, "meets": 2}


def published() -> pd.DataFrame:
    """results/published.csv: method, dataset, track, metric, value (0..1), kind, n_runs, std, origin, source, …"""
    return pd.read_csv(FILE, keep_default_na=False, dtype=str)


def verdict(group: Group, metric: str, value: float, kind: str, origin: str) -> str:
    """meets, undecided or misses, against value − 0.02; in brackets where the published kind can't carry a plain verdict.

    Against a best or a maximum, our best seed counts; else the interval over seeds. Below three seeds, and for a
    stale or incomplete row, there is none.
    """
    if group.stale or len(group.ok) < max(group.expected, 3):
        return ""
    goal = value - MARGIN
    if kind.startswith(("best", "max")):
        values = group.values(metric)
        return "" if not values else "(meets)" if max(values) >= goal else "(misses)"
    interval = group.interval(metric)
    if interval is None:
        return ""
    word = "meets" if interval[0] >= goal else "misses" if interval[1] < goal else "undecided"
    plain = kind == "mean" and origin in ("paper", "authors_code")
    return word if plain else f"({word})"


def reproduction(groups: dict[tuple[str, ...], Group]) -> str:
    """The section of leaderboard.md: misses first. Compared where track and data agree, at budget full, base variant."""
    rows = []
    for row in published().itertuples():
        group = groups.get((row.dataset, row.method, "base", row.track, "full"))
        if group is None or group.mean(row.metric) is None:
            continue
        value = float(row.value)
        word = verdict(group, row.metric, value, row.kind, row.origin)
        mean, std = group.mean(row.metric) or 0.0, group.std(row.metric)
        ours = f"{100 * mean:.1f}" + (f" ± {100 * std:.1f}" if std is not None else "")
        said = f"{100 * value:.1f} ({row.kind}{', n=' + row.n_runs if row.n_runs else ''})"
        rows.append([row.method, row.dataset, row.metric, said, ours, word, f"{row.source} ({row.origin.replace('_', ' ')})"])
    rows.sort(key=lambda row: (ORDER.get(row[5].strip("()"), 3), row[:3]))
    if not rows:
        return ""
    heads = ["method", "dataset", "score", "published, %", "ours, %", "verdict", "source"]
    intro = (
        "## Reproduction\n\nPublished numbers beside ours, misses first. A verdict compares our 95% interval over seeds with the "
        "published value less two points;\nit stands in brackets where the source is a re-implementation, a quotation or a best "
        "run, or doesn't say what its number is.\n\n"
    )
    return intro + tabulate(rows, headers=heads, tablefmt="github", disable_numparse=True) + "\n"
