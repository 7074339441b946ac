"""Published numbers beside ours, each with its source, and the verdict protocol v1 allows."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmark.report.tables import Group
from benchmark.report.words import escape, link, percent, table
from benchmark.store import PROTOCOL, ROOT

FILE = ROOT / "results" / "published.csv"
MARGIN = 0.02
SEEDS, MORE_SEEDS, SPREAD = 5, 10, 0.02  # protocol v1: seeds for a verdict; where it stays undecided with a spread above
ORDER = {"misses": 0, "undecided": 1, "meets": 2}


def published() -> pd.DataFrame:
    """results/published.csv: method, dataset, track, metric, value (0..1), kind, n_runs, std, origin, source, …"""
    return pd.read_csv(FILE, keep_default_na=False, dtype=str)


def verdict(group: Group, metric: str, value: float, kind: str, origin: str) -> str:
    """meets, undecided or misses, against value − 0.02; in brackets where the published kind can't carry a plain verdict.

    Against a best or a maximum, our best seed counts; else the interval over seeds. Below five seeds, and for a stale or
    incomplete row, there is none. Undecided with a spread above 0.02 asks for ten seeds.
    """
    if group.stale_in(metric) or len(group.ok) < max(group.expected, SEEDS):
        return ""
    goal, values = value - MARGIN, group.values(metric)
    if kind.startswith(("best", "max")):
        return "" if not values else "(meets)" if max(values) >= goal else "(misses)"
    interval = group.interval(metric)
    if interval is None:
        return ""
    word = "meets" if interval[0] >= goal else "misses" if interval[1] < goal else "undecided"
    if word == "undecided" and len(values) < MORE_SEEDS and (group.std(metric) or 0.0) > SPREAD:
        word = f"undecided, {MORE_SEEDS} seeds owed"
    plain = kind == "mean" and origin in ("paper", "authors_code")
    return word if plain else f"({word})"


def compared(groups: dict[tuple[str, ...], Group]) -> list[tuple[Any, Group, str]]:
    """(published row, our group, verdict), misses first: where track and data agree, at budget full, base variant."""
    found = []
    for row in published().itertuples():
        group = groups.get((row.dataset, row.method, "base", row.track, "full"))
        if group is not None and group.values(row.metric) and not group.self_reported:
            found.append((row, group, verdict(group, row.metric, float(row.value), row.kind, row.origin)))

    def order(item: tuple[Any, Group, str]) -> tuple[Any, ...]:
        row, _, word = item
        return (
            ORDER.get(word.strip("()").partition(",")[0], 3),
            row.method,
            row.dataset,
            row.metric,
            -float(row.value),
            row.source,
        )

    return sorted(found, key=order)


def reproduction(groups: dict[tuple[str, ...], Group]) -> str:
    """The section of leaderboard.md: misses first."""
    body = []
    for row, group, word in compared(groups):
        marks = " †" * group.stale_in(row.metric) + f" {len(group.ok)}/{group.expected}" * (not group.complete)
        kind = escape(row.kind.replace("_", " "))
        said = f"{percent(float(row.value))} ({kind}{', n=' + escape(row.n_runs) if row.n_runs else ''})"
        ours = f"{percent(group.mean(row.metric), group.std(row.metric))}{marks} (n={len(group.values(row.metric))})"
        ours = link(ours, f"results/{PROTOCOL}/records/{row.dataset}/{row.method}")
        source = f"{escape(row.source)} ({escape(row.origin.replace('_', ' '))})"
        body.append([escape(row.method), row.dataset, row.metric, said, ours, word, source])
    if not body:
        return ""
    heads = ["method", "dataset", "score", "published, %", "ours, %", "verdict", "source"]
    return INTRO + table(heads, body, words=3)


INTRO = """## Reproduction

Published numbers beside ours, misses first. A verdict compares our 95 % interval over seeds, five at least, with the
published value less two points; it stands in brackets where the source is a re-implementation, a quotation or a best run,
or doesn't say what its number is. Published numbers lie in [results/published.csv](results/published.csv).

"""
