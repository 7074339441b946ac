"""The board before it is text: which rows compete on a suite, which are the best, and what pairs and ranks say of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import pandas as pd

import datasets
import methods
from benchmark.ground.errors import UserError
from benchmark.plan import Suite
from benchmark.report.statistics import MIN_SEEDS, TOO_FEW, RankTest, outcome, pareto, rank_test
from benchmark.report.tables import Group, groups, runs, seed_agreement
from benchmark.store import Results

Row = tuple[str, str]  # method, variant
KINDS = {
    "bound": "Bounds, unranked",
    "ranked": "Methods",
    "variant": "Variants, unranked",
    "supervised": "Given labels or pairs, unranked",
    "pretrained": "With pretrained weights, unranked",
    "self_reported": "Self-reported fits, unranked",
}


@dataclass(frozen=True)
class Board:
    """Everything the generated texts are made of.

    agreement: key of a group -> mean ARI between the assignments of its seeds.
    """

    results: Results
    table: pd.DataFrame
    groups: dict[tuple[str, ...], Group]
    agreement: dict[tuple[str, ...], float | None]
    _rows: dict[str, list[Row]] = field(default_factory=dict)
    _competing: dict[str, list[Row]] = field(default_factory=dict)

    @classmethod
    def of(cls, results: Results) -> Board:
        """Reads the records of a results folder."""
        table = runs(results)
        found, packed = groups(table), results.packed()
        return cls(results, table, found, {key: seed_agreement(packed, key, group) for key, group in found.items()})

    def find(self, dataset: str, method: str, suite: Suite, variant: str = "base") -> Group | None:
        """The seeds of a method on a dataset, in a suite's track and budget."""
        return self.groups.get((dataset, method, variant, suite.track, suite.budget))

    def url(self, method: str) -> str | None:
        """The address that came with a self-reported method."""
        return self._urls.get(method)

    @cached_property
    def _urls(self) -> dict[str, str]:
        return {method: url for method, url in zip(self.table.method, self.table.url, strict=True) if url}

    def agrees(self, dataset: str, row: Row, suite: Suite) -> float | None:
        """How far the seeds of a row find the same clusters; None where that can't be said."""
        return self.agreement.get((dataset, *row, suite.track, suite.budget))

    def shown(self, suite: Suite) -> list[str]:
        """The suite's datasets that have a record in its track and budget."""
        return [name for name in suite.datasets if (name, suite.track, suite.budget) in self._places]

    def untouched(self, suite: Suite) -> list[str]:
        """Those of the shown datasets on which no setting was chosen; ranks are taken on them alone."""
        return [name for name in self.shown(suite) if not touched_by(name)]

    @cached_property
    def _places(self) -> set[tuple[str, ...]]:
        """(dataset, track, budget) with a record."""
        return {(key[0], *key[3:]) for key in self.groups}

    def rows(self, suite: Suite) -> list[Row]:
        """The rows with a record in the suite's track and budget: by kind, then by mean rank in ACC.

        Ranks are taken over the untouched datasets with a competing row, or over all where none is untouched, among the
        competing rows that have a mean on each of them; the others follow, fullest first.
        """
        if suite.name not in self._rows:
            self._rows[suite.name] = self._ordered(suite)
        return self._rows[suite.name]

    def competing(self, suite: Suite) -> list[Row]:
        """The rows that are compared with each other."""
        if suite.name not in self._competing:
            self._competing[suite.name] = [row for row in self.rows(suite) if self.kind(suite, row) == "ranked"]
        return self._competing[suite.name]

    def kind(self, suite: Suite, row: Row) -> str:
        """Which of KINDS a row is, by its card and what its records say it was told."""
        return self._kinds[(*row, suite.track, suite.budget)]

    @cached_property
    def _kinds(self) -> dict[tuple[str, ...], str]:
        """(method, variant, track, budget) -> its kind: the first of KINDS, from the last, that holds on any dataset."""
        order, kinds = list(KINDS), dict[tuple[str, ...], str]()
        kind_of = cache(_kind)
        for key, group in self.groups.items():
            told, flags = group.columns["told"], group.columns["flags"]
            words = frozenset((told[row], flags[row]) for row in group.rows)
            found = kind_of(key[0], key[1], key[2] == "base", words)
            kinds[key[1:]] = max(kinds.get(key[1:], found), found, key=order.index)
        return kinds

    def _ordered(self, suite: Suite) -> list[Row]:
        shown, kinds = set(self.shown(suite)), {kind: place for place, kind in enumerate(KINDS)}
        names = sorted({(key[1], key[2]) for key in self.groups if key[3:] == (suite.track, suite.budget) and key[0] in shown})
        columns = self.untouched(suite) or self.shown(suite)
        means = {row: self._means(suite, row, columns) for row in names}
        competing = [row for row in names if self.kind(suite, row) == "ranked"]
        places = [i for i in range(len(columns)) if any(means[row][i] is not None for row in competing)]
        full = [row for row in competing if all(means[row][i] is not None for i in places)]
        ordered = [sorted(means[row][i] for row in full) for i in places]
        ranks = {row: sum(1 + len(full) - bisect_right(ordered[j], means[row][i]) for j, i in enumerate(places)) for row in full}

        def order(row: Row) -> tuple[Any, ...]:
            known = [mean for mean in means[row] if mean is not None]
            return (kinds[self.kind(suite, row)], row not in ranks, ranks.get(row, 0), -len(known), -sum(known), row)

        return sorted(names, key=order)

    def _means(self, suite: Suite, row: Row, sets: Sequence[str]) -> list[Any]:
        found = [self.find(name, row[0], suite, row[1]) for name in sets]
        return [group.mean("acc") if group else None for group in found]

    def sound(self, suite: Suite, dataset: str, name: str = "acc") -> dict[Row, dict[int, float]]:
        """The competing rows whose score can be compared: none of their seeds failed or is stale. Row -> seed -> score."""
        found = {}
        for row in self.competing(suite):
            group = self.find(dataset, row[0], suite, row[1])
            if group and group.complete and not group.stale_in(name) and (scores := group.by_seed(name)):
                found[row] = scores
        return found

    def best(self, suite: Suite, dataset: str, name: str = "acc") -> set[Row]:
        """The row with the highest mean over three seeds or more, and every row that is not clearly worse than it.

        Not clearly worse: the interval of the differences, paired by seed, covers 0.
        """
        able = {row: scores for row, scores in self.sound(suite, dataset, name).items() if len(scores) >= MIN_SEEDS}
        if not able:
            return set()
        top = max(able, key=lambda row: (sum(able[row].values()) / len(able[row]), row))
        return {row for row in able if row == top or outcome(able[row], able[top]) in ("tie", "win")}

    def pairs(self, suite: Suite, sets: Sequence[str]) -> dict[tuple[Row, Row], dict[str, int]]:
        """(row, other) -> how often it wins, ties and loses by the paired interval in ACC over the datasets; both ways."""
        table: dict[tuple[Row, Row], dict[str, int]] = {}
        for dataset in sets:
            able = self.sound(suite, dataset)
            for row, ours in able.items():
                for other, theirs in able.items():
                    word = outcome(ours, theirs) if row != other else None
                    if word:
                        table.setdefault((row, other), {"win": 0, "tie": 0, "loss": 0})[word] += 1
        return table

    def means(self, suite: Suite, sets: Sequence[str]) -> dict[Row, float]:
        """The mean ACC over datasets of the rows that have one on each."""
        found = {row: self._means(suite, row, sets) for row in self.rows(suite)} if sets else {}
        return {row: sum(values) / len(values) for row, values in found.items() if None not in values}

    def cost(self, suite: Suite, row: Row, sets: Sequence[str]) -> float | None:
        """Processor seconds of a cell with the parts it stands on, mean over the datasets where it has a score."""
        found = [self.find(name, row[0], suite, row[1]) for name in sets]
        known = [group.mean("total_cpu_seconds") for group in found if group and group.ok]
        return sum(filter(None, known)) / len(known) if known and None not in known else None

    def front(self, suite: Suite, sets: Sequence[str]) -> set[Row]:
        """The rows that no other beats in both mean ACC and cost, over the datasets where a method competes.

        Chance, rows that were given labels and self-reported ones stand aside.
        """
        sets = [name for name in sets if any(self.find(name, row[0], suite, row[1]) for row in self.competing(suite))]
        points = {}
        for row, score in self.means(suite, sets).items():
            cost = self.cost(suite, row, sets)
            if cost is not None and self.kind(suite, row) != "self_reported" and not _no_contender(row[0]):
                points[row] = (cost, score)
        names = {f"{method} {variant}": (method, variant) for method, variant in points}
        return {names[name] for name in pareto({f"{row[0]} {row[1]}": point for row, point in points.items()})}

    def ranking(self, suite: Suite) -> dict[str, RankTest | str]:
        """Class of backbone -> its rank test on the suite's untouched datasets, or why there is none.

        Of datasets with one root the first counts. A method enters with its base variant and a mean of all its seeds.
        """
        sets = list({datasets.root(name): name for name in reversed(self.untouched(suite))}.values())[::-1]
        grid = {name: self.sound(suite, name) for name in sets}
        means = {name: {row[0]: sum(s.values()) / len(s) for row, s in rows.items()} for name, rows in grid.items()}
        classes: dict[str, list[str]] = {}
        for method, _ in self.competing(suite):
            if all(method in row for row in means.values()):
                classes.setdefault(backbone(method), []).append(method)
        if len(sets) < 1 or not classes:
            return dict.fromkeys(classes or ["all"], TOO_FEW)
        return {name: rank_test(means, members) for name, members in sorted(classes.items())}


def _kind(dataset: str, method: str, base: bool, words: frozenset[tuple[str, str]]) -> str:
    """The kind of one group of seeds, of which `words` are (told, flags)."""
    told = {word for text, _ in words for word in text.split()}
    if any("self_reported" in flags.split() for _, flags in words):
        return "self_reported"
    if is_bound(method):
        return "bound"
    if "pretrained" in told and not _features(dataset):
        return "pretrained"
    if told & {"labels", "pairs"}:
        return "supervised"
    return "ranked" if base else "variant"


def _features(dataset: str) -> bool:
    """Whether the dataset itself is the features of a pretrained model, so that every row is told so."""
    try:
        return bool(datasets.card(dataset).pretrained)
    except UserError:
        return False


def is_bound(method: str) -> bool:
    """Whether a method frames the board instead of competing on it."""
    try:
        return bool(methods.card(method).bound)
    except UserError:
        return False


def _no_contender(method: str) -> bool:
    try:
        return method == "chance" or "labels" in methods.card(method).told
    except UserError:
        return False


def backbone(method: str) -> str:
    """The class of backbone that a method is ranked in: the family it is filed under."""
    try:
        return methods.entry(method).family
    except UserError:
        return "other"


def touched_by(dataset: str) -> list[str]:
    """Why a dataset is not untouched: "development", or the competing methods whose settings were chosen on it or its root.

    A derived set counts as the set it is drawn from.
    """
    root = datasets.root(dataset)
    if datasets.card(dataset).development or datasets.card(root).development:
        return ["development"]
    return [name for name in methods.names() if not is_bound(name) and root in {*map(_root, methods.card(name).tuned_on)}]


def _root(name: str) -> str:
    try:
        return datasets.root(name)
    except UserError:
        return name  # a set that is named but not ours
