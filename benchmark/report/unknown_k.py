"""The board of methods that find the number of clusters themselves: how many they find, and how far off that is."""

from __future__ import annotations

import math

import datasets
from benchmark.plan import Suite
from benchmark.report.board import Board
from benchmark.report.marks import label, records_of, score
from benchmark.report.statistics import moments
from benchmark.report.tables import Group
from benchmark.report.words import link, table

SCORES = {"ami": "AMI", "ari": "ARI", "acc": "ACC"}
INTRO = """Rows that were not told k, by how far k̂, the number of clusters they found, is off the number of classes: the mean
of |k̂ − k| over seeds. Noise is no cluster. AMI and ARI are corrected for chance, so they can be compared between different k̂;
ACC matches each class with one cluster, so it falls where k̂ is too large."""


def unknown_k(board: Board, suite: Suite) -> str:
    """The table of one suite; nothing where every row was told k."""
    body = []
    for dataset in board.shown(suite):
        classes = datasets.card(dataset).classes
        for _, row, group in sorted(
            (distance(group, classes), row, group)
            for row in board.rows(suite)
            if (group := board.find(dataset, row[0], suite, row[1])) and blind_to_k(group)
        ):
            mean, std = moments(group.values("k_used"))
            found = f"{mean:.1f}" + (f" ± {std:.1f}" if std is not None else "")
            seeds = link(str(len(group.ok)), records_of(dataset, row[0]))
            off = f"{distance(group, classes):.1f}"
            body.append([dataset, label(*row), str(classes), found, off, *(score(group, name) for name in SCORES), seeds])
    heads = ["", "", "k", "k̂", "off by", *SCORES.values(), "seeds"]
    return f"### Unknown k\n\n{INTRO}\n\n{table(heads, body, words=2)}" if body else ""


def blind_to_k(group: Group) -> bool:
    """Whether there are scored seeds, none of which was told k."""
    told = group.words("told")
    return bool(told) and not any("k" in words.split() for words in told)


def distance(group: Group, classes: int) -> float:
    """Mean |k̂ − k| over the scored seeds."""
    found = group.values("k_used")
    return math.fsum(abs(value - classes) for value in found) / len(found)
