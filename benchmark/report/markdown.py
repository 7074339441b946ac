"""leaderboard.md, and the head of it in the README."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

import datasets
import methods
from benchmark.ground.errors import UserError
from benchmark.plan import Suite, load_suite, suites
from benchmark.report.published import reproduction
from benchmark.report.tables import Group, csv, groups, runs, summary
from benchmark.store import PROTOCOL, ROOT, Results

BEGIN, END = "<!-- leaderboard: generated, don't edit -->", "<!-- end of leaderboard -->"
DETAILS = {"acc": "ACC", "nmi": "NMI", "ari": "ARI", "knn": "kNN", "linear_probe": "probe"}


@dataclass(frozen=True)
class Board:
    """Everything the generated texts are made of."""

    results: Results
    table: pd.DataFrame
    groups: dict[tuple[str, ...], Group]
    _rows: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, results: Results) -> Board:
        """Reads the records of a results folder."""
        table = runs(results)
        return cls(results, table, groups(table))

    def find(self, dataset: str, method: str, suite: Suite, variant: str = "base") -> Group | None:
        """The seeds of a method on a dataset, in a suite's track and budget."""
        return self.groups.get((dataset, method, variant, suite.track, suite.budget))

    def shown(self, suite: Suite) -> list[str]:
        """The suite's datasets that have a record in its track and budget."""
        return [name for name in suite.datasets if (name, suite.track, suite.budget) in self._places]

    @cached_property
    def _places(self) -> set[tuple[str, ...]]:
        """(dataset, track, budget) with a record."""
        return {(key[0], *key[3:]) for key in self.groups}

    def rows(self, suite: Suite) -> list[tuple[str, str]]:
        """(method, variant) with a record in the suite's track and budget: bounds first, then by mean rank in ACC.

        Ranks are taken over the datasets with an unbound row, among the unbound rows that have a mean on each of them; the
        others follow, fullest first.
        """
        if suite.name not in self._rows:
            self._rows[suite.name] = self._ordered(suite)
        return self._rows[suite.name]

    def _ordered(self, suite: Suite) -> list[tuple[str, str]]:
        names = sorted(
            {(key[1], key[2]) for key in self.groups if key[3:] == (suite.track, suite.budget) and key[0] in suite.datasets}
        )
        means = {row: self._means(suite, row) for row in names}
        unbound = [row for row in names if not is_bound(row[0])]
        columns = [i for i in range(len(self.shown(suite))) if any(means[row][i] is not None for row in unbound)]
        full = [row for row in unbound if all(means[row][i] is not None for i in columns)]
        ordered = [sorted(means[row][i] for row in full) for i in columns]
        ranks = {row: sum(1 + len(full) - bisect_right(ordered[j], means[row][i]) for j, i in enumerate(columns)) for row in full}

        def order(row: tuple[str, str]) -> tuple[Any, ...]:
            known = [mean for mean in means[row] if mean is not None]
            return (not is_bound(row[0]), row not in ranks, ranks.get(row, 0), -len(known), -sum(known), row)

        return sorted(names, key=order)

    def _means(self, suite: Suite, row: tuple[str, str]) -> list[Any]:
        found = [self.find(name, row[0], suite, row[1]) for name in self.shown(suite)]
        return [group.mean("acc") if group else None for group in found]


def is_bound(method: str) -> bool:
    """Whether a method frames the board instead of competing on it."""
    try:
        return bool(methods.card(method).bound)
    except UserError:
        return False


def score(group: Group | None, name: str) -> str:
    """Mean ± std over seeds in percent, with marks: 4/5 incomplete, n=1, † stale, ○ collapsed."""
    if group is None:
        return ""
    mean, std = group.mean(name), group.std(name)
    if mean is None:
        states = group.states
        return "–" if states == ["not_applicable"] else ", ".join(states).replace("_", " ") if states else ""
    text = f"{100 * mean:.1f}".replace("-0.0", "0.0") + (f" ± {100 * std:.1f}" if std is not None else "")
    marks = [f"{len(group.ok)}/{group.expected}"] if len(group.ok) < group.expected else ["n=1"] if group.expected == 1 else []
    marks += ["†"] * group.stale + ["○"] * any("collapsed" in flags for flags in group.words("flags"))
    return f"{text} {' '.join(marks)}".strip()


def label(method: str, variant: str) -> str:
    """A method's name with a link to its paper, bounds in italics."""
    try:
        card = methods.card(method)
    except UserError:
        return method
    text = f"[{method}]({card.link})" if card.link else method
    text = f"*{text}*" if card.bound else text
    return text if variant == "base" else f"{text} `{variant}`"


def overview(board: Board, suite: Suite) -> str:
    """Methods × datasets, ACC."""
    shown = board.shown(suite)
    if not shown:
        return "No records yet.\n"
    body = [
        [label(method, variant), *[score(board.find(name, method, suite, variant), "acc") for name in shown]]
        for method, variant in board.rows(suite)
    ]
    return tabulate(body, headers=["ACC, %", *shown], tablefmt="github", disable_numparse=True) + "\n"


def details(board: Board, suite: Suite, dataset: str) -> str:
    """One dataset: every headline score, what the method is told, what choosing by label would have claimed, cost."""
    body = []
    for method, variant in board.rows(suite):
        group = board.find(dataset, method, suite, variant)
        if group is None:
            continue
        gap, seconds, peak = group.mean("oracle_gap_acc"), group.mean("total_cpu_seconds"), group.mean("peak_mib")
        body.append(
            [
                label(method, variant),
                *[score(group, name) for name in DETAILS],
                "" if group.mean("acc_chance") is None else f"{100 * (group.mean('acc_chance') or 0):.1f}",
                "" if gap is None else f"{100 * gap:.1f}",
                ", ".join(group.words("told")[0].split()) if group.ok else "",
                f"[{len(group.ok)}](results/{PROTOCOL}/records/{dataset}/{method})",
                "" if seconds is None else f"{seconds:.3g}",
                "" if peak is None else f"{peak:.0f}",
            ]
        )
    if not body:
        return ""
    heads = ["", *DETAILS.values(), "chance", "oracle gap", "told", "seeds", "core-seconds", "MiB"]
    card = datasets.card(dataset)
    root = datasets.root(dataset)
    tuners = [name for name in methods.names() if root in methods.card(name).tuned_on and not is_bound(name)]
    role = "development: settings may be tuned on it" if card.development else "untouched: no card names it"
    role = f"not untouched: settings of {', '.join(tuners)} were chosen on it" if tuners and not card.development else role
    best = f"; no rule exceeds an accuracy of {100 * card.bayes_acc:.1f} (Bayes)" if card.bayes_acc is not None else ""
    model = f"; features of {card.pretrained}, pretrained" if card.pretrained else ""
    intro = f"{card.title}: n = {card.n:,}, {card.classes} classes{best}{model}; {role}.\n\n"
    return f"#### {dataset}\n\n{intro}" + tabulate(body, headers=heads, tablefmt="github", disable_numparse=True) + "\n"


INTRO = f"""# Leaderboard

Generated by `uv run run_all.py leaderboard`; never edited by hand. Protocol {PROTOCOL}.

Methods are fitted blind: no label reaches them. The last state counts, every seed counts. Scores are percent,
mean ± standard deviation over seeds. Bounds are in *italics*, first, and unranked; the others are ordered by mean
rank in ACC over the section's datasets, incomplete rows last. That is no verdict: there are too few datasets to decide.

Marks: `4/5` four of five seeds ended ok, the mean is incomplete · `n=1` one seed, no spread · `†` stale: the code or
settings have changed since · `○` fewer than k clusters used in a seed · `–` not applicable · *told*: what the method
or its clustering was given · *oracle gap*: what choosing the best of ten snapshots by label would have added to ACC ·
*core-seconds*: processor time, the parts it stands on included · *chance*: ACC of a random labelling.
Clusters of a method that only embeds come from k-means on its embedding. In the transductive track the embedding has
seen the inputs that kNN and probe are tested on.
"""


def leaderboard(board: Board) -> str:
    """The whole text of leaderboard.md."""
    parts = [INTRO]
    for name in suites():
        suite = load_suite(name)
        if not board.shown(suite):
            continue
        parts.append(f"## {suite.title}\n\nSuite `{name}`: {suite.track} track, budget `{suite.budget}`.\n")
        parts.append(overview(board, suite))
        parts += [text for dataset in suite.datasets if (text := details(board, suite, dataset))]
    parts.append(reproduction(board.groups))
    parts.append(failures(board.table))
    return "\n".join(part.strip("\n") + "\n" for part in parts if part)


def failures(table: pd.DataFrame) -> str:
    """Cells that did not end ok, and attempts at the label wall."""
    bad = table[~table.state.isin(["ok", "not_applicable"])]
    rows = [f"- {row.dataset} / {row.method} / seed {row.seed}: {row.state.replace('_', ' ')}" for row in bad.itertuples()]
    attempts = int(table.attempts.sum()) if len(table) else 0
    text = "\n".join(rows) if rows else "No cell on this board failed."
    return f"## Honesty\n\n{text}\n\nAttempts at the label wall on this board: {attempts}.\n"


def head(board: Board) -> str:
    """The few lines of the board that the README shows."""
    return overview(board, load_suite("quick"))


def generated(results: Results) -> dict[Path, str]:
    """Every generated file of the repository with its text as it should be today."""
    board = Board.of(results)
    readme = ROOT / "README.md"
    files = {
        ROOT / "leaderboard.md": leaderboard(board),
        results.root / "runs.csv": csv(board.table),
        results.root / "summary.csv": csv(summary(board.table, board.groups)),
    }
    if readme.is_file():
        text = readme.read_text(encoding="utf-8")
        if BEGIN not in text or END not in text:
            raise UserError(f"README.md has lost its lines {BEGIN!r} and {END!r}; put them back")
        before, rest = text.split(BEGIN, 1)
        files[readme] = f"{before}{BEGIN}\n\n{head(board)}\n{END}{rest.split(END, 1)[1]}"
    return files
