"""Each method beside what it builds on: the method it varies, the part it starts from, and random weights."""

from __future__ import annotations

import methods
from benchmark.ground.errors import UserError
from benchmark.plan import Suite, other_part
from benchmark.report.board import Board, Row
from benchmark.report.statistics import Interval, paired
from benchmark.report.tables import Group
from benchmark.report.words import escape, folded, table

SCORES = {"acc": "ACC", "nmi": "NMI", "knn": "kNN", "linear_probe": "probe"}
ON_VIEWS = ("joint_embedding", "clustering")  # families on the backbone that `random_encoder` has
INTRO = """Differences in points, with the 95 % interval over the seeds that both have (three at least, none stale); **bold**
where it leaves out 0. What a row builds on: the method in which it changes *one thing*, the *part* it starts from
(clustered by k-means, where it only embeds), the same network with *random weights*, or the *pixels*."""


def beside(board: Board, suite: Suite, dataset: str) -> str:
    """The table of one dataset, folded; nothing where no row has its base beside it."""
    body = []
    for row in board.rows(suite):
        ours = board.find(dataset, row[0], suite, row[1])
        for why, base in bases(row):
            theirs = board.find(dataset, base, suite)
            cells = [difference(ours, theirs, name) for name in SCORES] if ours and theirs else []
            if any(cells):
                name = escape(row[0]) + (f" `{row[1]}`" if row[1] != "base" else "")
                body.append([f"{name} − {escape(base)}", why, *cells])
    heads = ["", "", *SCORES.values()]
    return folded(f"<b>{dataset}</b>: beside what they build on", f"{INTRO}\n\n{table(heads, body, words=2)}") if body else ""


def bases(row: Row) -> list[tuple[str, str]]:
    """(why, method) of everything a row is set beside."""
    method, variant = row
    try:
        card, family = methods.card(method), methods.entry(method).family
    except UserError:
        return []
    other = other_part(variant)
    parts = [other] if other else card.parts.values()
    found = [("one thing", card.varies)] * bool(card.varies) + [("part", part) for part in parts]
    if family in ON_VIEWS and not card.parts:
        found += [("random weights", "random_encoder"), ("pixels", "pixels_kmeans")]
    return found


def difference(ours: Group, theirs: Group, name: str) -> str:
    """Ours less theirs in points, paired by seed: "**+1.2** [0.4, 2.0]"; empty without an interval."""
    if ours.stale_in(name) or theirs.stale_in(name):
        return ""
    found = paired(ours.by_seed(name), theirs.by_seed(name))
    return "" if found is None or found.sign is None else _said(found)


def _said(found: Interval) -> str:
    mean, low, high = (round(100 * (value or 0.0), 2) + 0.0 for value in (found.mean, found.low, found.high))
    text = "0.0" if abs(mean) < 0.05 else f"{mean:+.1f}"
    return f"{f'**{text}**' if found.sign else text} [{low:.1f}, {high:.1f}]"
