"""leaderboard.json, and the dictionary of every field in docs/results.md."""

from __future__ import annotations

import json
from typing import Any

import datasets
import metrics
from benchmark.ground.files import rounded
from benchmark.plan import Suite, load_suite, suites
from benchmark.report.board import Board, Row, touched_by
from benchmark.report.statistics import RankTest, interval, moments
from benchmark.report.tables import Group
from benchmark.report.words import escape, table
from benchmark.store import PROTOCOL

SCHEMA = 1  # of leaderboard.json: raised where a field goes or changes its meaning, not where one joins
SCORES = ("acc", "nmi", "ari", "ami", "knn", "linear_probe")
BEGIN, END = "<!-- dictionary: generated, don't edit -->", "<!-- end of dictionary -->"


def leaderboard_json(board: Board) -> str:
    """The board as data: suites, their datasets, rows and cells, ranks. Sorted keys, floats to six digits."""
    found = [load_suite(name) for name in suites()]
    value = {"schema": SCHEMA, "protocol": PROTOCOL, "suites": [_suite(board, suite) for suite in found if board.shown(suite)]}
    return _lines(rounded(value, 6), 6) + "\n"


def _lines(value: Any, depth: int) -> str:
    """A JSON value, its outer levels spread over lines: a cell that changes is one line that changes."""
    if not depth or not value or not isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    if isinstance(value, list):
        return "[\n" + ",\n".join(_lines(item, depth - 1) for item in value) + "\n]"
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {_lines(value[key], depth - 1)}" for key in sorted(value)) + "\n}"


def _suite(board: Board, suite: Suite) -> dict[str, Any]:
    shown, clean = board.shown(suite), board.untouched(suite)
    best = {name: board.best(suite, name) for name in shown}
    sections = {"untouched": clean, "others": [name for name in shown if name not in clean]}
    return {
        "suite": suite.name,
        "title": suite.title,
        "track": suite.track,
        "budget": suite.budget,
        "datasets": [_dataset(name) for name in shown],
        "rows": [_row(board, suite, row, best) for row in board.rows(suite)],
        "ranking": {name: _ranking(test) for name, test in board.ranking(suite).items()},
        "front": {name: [list(row) for row in sorted(board.front(suite, sets))] for name, sets in sections.items()},
        "pairs": {
            name: [{"row": list(a), "other": list(b), **counts} for (a, b), counts in sorted(board.pairs(suite, sets).items())]
            for name, sets in sections.items()
        },
    }


def _dataset(name: str) -> dict[str, Any]:
    card, tuners = datasets.card(name), touched_by(name)
    role = "untouched" if not tuners else "development" if tuners == ["development"] else "tuned_on"
    facts = {"n": card.n, "classes": card.classes, "bayes_acc": card.bayes_acc, "pretrained": card.pretrained or None}
    return {"dataset": name, "title": card.title, "root": datasets.root(name), "role": role, "tuners": tuners, **facts}


def _row(board: Board, suite: Suite, row: Row, best: dict[str, set[Row]]) -> dict[str, Any]:
    cells = {
        name: _cell(group, board.agrees(name, row, suite), row in best[name])
        for name in board.shown(suite)
        if (group := board.find(name, row[0], suite, row[1]))
    }
    return {"method": row[0], "variant": row[1], "kind": board.kind(suite, row), "cells": cells}


def _cell(group: Group, agreement: float | None, best: bool) -> dict[str, Any]:
    return {
        "seeds_ok": len(group.ok),
        "seeds": group.expected,
        "states": group.states,
        "stale": group.stale,
        "stale_scores": group.stale_scores,
        "collapsed": any("collapsed" in flags for flags in group.words("flags")),
        "told": sorted({word for words in group.words("told") for word in words.split()}),
        "best": best,
        "scores": {name: _score(values) for name in SCORES if (values := group.values(name))},
        "oracle_gap_acc": group.mean("oracle_gap_acc"),
        "seed_agreement_ari": agreement,
        "total_cpu_seconds": group.mean("total_cpu_seconds"),
        "peak_mib": group.mean("peak_mib"),
    }


def _score(values: list[float]) -> dict[str, Any]:
    found = interval(values)
    assert found is not None
    return {"n": found.n, "mean": found.mean, "std": moments(values)[1], "low": found.low, "high": found.high}


def _ranking(test: RankTest | str) -> dict[str, Any]:
    if isinstance(test, str):
        return {"said": test}
    order = range(len(test.methods))
    return {
        "said": None,
        "datasets": test.datasets,
        "methods": test.methods,
        "mean_ranks": test.mean_ranks,
        "friedman": {"statistic": test.statistic, "p": test.p},
        "critical_difference": test.critical,
        "nemenyi": [[float(test.nemenyi[i, j]) for j in order] for i in order],
        "wilcoxon_holm": [[float(test.wilcoxon[i, j]) for j in order] for i in order],
    }


def dictionary() -> str:
    """Every metric as its file declares it, as a table."""
    body = []
    for name in metrics.names():
        card = metrics.card(name)
        low, high = ("−∞" if card.low is None else f"{card.low:g}"), ("∞" if card.high is None else f"{card.high:g}")
        facts = [f"`{name}`", escape(card.title), f"{low} … {high}".replace("-", "−"), card.better]
        random = "" if card.random is None else f"{card.random:g}"
        perfect = "" if card.perfect is None else f"{card.perfect:g}"
        body.append([*facts, perfect, random, ", ".join(sorted(card.needs)), escape(card.source)])
    return table(["field", "what", "range", "better", "perfect", "random", "needs", "source"], body)
