"""Datasets made from another by rule: `NAME-lt10`, `-lt50`, `-lt100` (long-tailed) and `NAME@N` (a subsample).

Their cards follow from the base's card alone, so that planning needs no data. Sighted: rows are chosen by class.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from benchmark.ground.errors import UserError
from datasets.base import Card, Raw

RATIOS = (10, 50, 100)


class Rule(NamedTuple):
    """How a set is drawn from its base. ratio: largest class over smallest, 0 in a subsample; n: rows of a subsample, or 0."""

    base: str
    ratio: int
    n: int


def parse(name: str) -> Rule | None:
    """The rule in a name, or None where it has none; UserError for a ratio that is not offered.

    >>> parse("mnist-lt50@2000")
    Rule(base='mnist-lt50', ratio=0, n=2000)
    >>> parse("mnist-lt50")
    Rule(base='mnist', ratio=50, n=0)
    """
    if found := re.fullmatch(r"(.+)@([1-9]\d{0,8})", name):
        return Rule(found[1], 0, int(found[2]))
    if found := re.fullmatch(r"(.+)-lt(\d+)", name):
        if int(found[2]) not in RATIOS:
            raise UserError(f"no dataset {name!r}: long tails come as {', '.join(f'-lt{ratio}' for ratio in RATIOS)}")
        return Rule(found[1], int(found[2]), 0)
    return None


def card(name: str, rule: Rule, base: Card) -> Card:
    """The card of a derived set; UserError where the base does not allow it."""
    if not base.class_counts or (base.n_test and not base.test_counts):
        raise UserError(f"{name!r} can't be derived: the card of {rule.base!r} does not say how many rows each class has")
    if base.n_unlabelled:
        raise UserError(f"{name!r} can't be derived: {rule.base!r} has rows without labels, which no rule chooses")
    if base.inductive_only and rule.ratio:
        raise UserError(f"{name!r} can't be derived: {rule.base!r} is long-tailed already")
    counts, tests = _wanted(name, rule, base)
    if rule.ratio:
        title = f"{base.title}, long-tailed {rule.ratio}:1"
        note = "class c of C keeps m·ratio^(−c/(C−1)) of its train rows, m the smallest class; the test part is whole"
        note = note if base.n_test else note.replace("train rows", "rows").partition(";")[0]
    else:
        title, note = f"{base.title}, {rule.n:,} rows", "every class and part keeps its share"
    return replace(
        base,
        title=title,
        n=sum(counts) + sum(tests),
        n_test=sum(tests),
        class_counts=[int(a + b) for a, b in zip(counts, tests or [0] * len(counts), strict=True)],
        test_counts=tests,
        sha_inputs="",
        sha_labels="",
        duplicates=0,
        leaks=0,
        bayes_acc=None if rule.ratio else base.bayes_acc,
        base=rule.base,
        rule=f"{name}: {note}; version 1, of {base.inputs_id} and {base.labels_id}",
        inductive_only=base.inductive_only or bool(rule.ratio and base.n_test),
    )


def rows(name: str, rule: Rule, base: Card, raw: Raw) -> Raw:
    """The rows of a base's canonical arrays that the rule keeps, in their order.

    Of each class and part, those that come first in one permutation drawn from the base's name: a smaller subsample lies in
    a larger one.
    """
    assert raw.labels is not None
    seed = int.from_bytes(hashlib.sha256(f"{rule.base} protocol v1 derived".encode()).digest(), "big")
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(raw.labels))
    part = np.zeros(len(raw.labels), np.int8) if raw.split is None else raw.split
    kept: list[np.ndarray] = []
    for which, wanted in enumerate(_wanted(name, rule, base)):
        for label, count in enumerate(wanted):
            mine = order[(raw.labels[order] == label) & (part[order] == which)]
            kept.append(mine[:count])
    chosen = np.sort(np.concatenate(kept))
    return Raw(raw.inputs[chosen], raw.labels[chosen], None if raw.split is None else raw.split[chosen])


def _wanted(name: str, rule: Rule, base: Card) -> tuple[list[int], list[int]]:
    """How many rows of each class are kept, (of the train part or of all, of the test part or [])."""
    tests = list(base.test_counts) if base.n_test else []
    own = [a - b for a, b in zip(base.class_counts, tests or [0] * base.classes, strict=True)]
    if rule.ratio:
        return long_tail(own, rule.ratio), tests
    if not base.classes <= rule.n < base.n:
        raise UserError(f"{name!r} asks for {rule.n} rows; {rule.base!r} has {base.n:,}, and {base.classes} is the least")
    n_test = round(rule.n * base.n_test / base.n)
    return shares(own, rule.n - n_test), shares(tests, n_test) if tests else []


def long_tail(counts: Sequence[int], ratio: int) -> list[int]:
    """The exponential profile of long-tailed CIFAR (Cui et al., arXiv:1901.05555): from the smallest class down to its 1/ratio.

    >>> long_tail([100, 120, 110], 100)
    [100, 10, 1]
    """
    last = max(len(counts) - 1, 1)
    return [max(1, math.floor(min(counts) * ratio ** (-label / last) + 1e-6)) for label in range(len(counts))]


def shares(counts: Sequence[int], n: int) -> list[int]:
    """n rows split as the counts are, by largest remainder, the lower label first where two are alike.

    >>> shares([50, 30, 20], 5)
    [3, 1, 1]
    """
    total = sum(counts)
    floors = [n * count // total for count in counts]
    by_rest = sorted(range(len(counts)), key=lambda label: (-(n * counts[label] % total), label))
    for label in by_rest[: n - sum(floors)]:
        floors[label] += 1
    return floors
