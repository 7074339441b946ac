"""What numbers allow to say: intervals over seeds, pairs of methods, ranks over datasets, and the front of score and cost.

Pure functions. A *row* is one method with its scores by seed, a *grid* is an array [datasets, methods] of means over seeds.
Sources: Student, The probable error of a mean, Biometrika 1908; Friedman, JASA 1937; Nemenyi, thesis, Princeton 1963;
Wilcoxon, Biometrics Bulletin 1945; Holm, Scandinavian Journal of Statistics 1979; the four together in Demšar, Statistical
comparisons of classifiers over multiple data sets, JMLR 2006.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

LEVEL = 0.95
ALPHA = 0.05
MIN_SEEDS = 3  # for an interval
MIN_DATASETS = 8  # for a rank test, protocol v1
MAX_METHODS = 12
TOO_FEW = "too few datasets to decide"


@dataclass(frozen=True)
class Interval:
    """A mean over n values with its Student-t interval; low and high are None below three values."""

    n: int
    mean: float
    low: float | None
    high: float | None

    @property
    def sign(self) -> int | None:
        """1 or −1 where the interval lies above or below 0, 0 where it covers it, None where there is none."""
        if self.low is None or self.high is None:
            return None
        return 1 if self.low > 0 else -1 if self.high < 0 else 0


@lru_cache(maxsize=4096)
def t_quantile(degrees: int) -> float:
    """The two-sided 95% quantile of Student's t with so many degrees of freedom."""
    return float(stats.t.ppf((1 + LEVEL) / 2, degrees))


def moments(values: Sequence[float]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation; None where there are too few values."""
    if not values:
        return None, None
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    return mean, math.sqrt(math.fsum([(value - mean) ** 2 for value in values]) / (len(values) - 1))


def interval(values: Sequence[float]) -> Interval | None:
    """Student's t interval at 95% of the mean: mean ± t(n − 1) · s / √n. None for no values.

    >>> found = interval([1.0, 2.0, 3.0])
    >>> found.mean, round(found.low, 3), round(found.high, 3)
    (2.0, -0.484, 4.484)
    """
    mean, std = moments(values)
    if mean is None:
        return None
    if std is None or len(values) < MIN_SEEDS:
        return Interval(len(values), mean, None, None)
    half = t_quantile(len(values) - 1) * std / math.sqrt(len(values))
    return Interval(len(values), mean, mean - half, mean + half)


def paired(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Interval | None:
    """The interval of ours − theirs over the seeds that both have; None where they share none."""
    return interval([value - theirs[seed] for seed, value in ours.items() if seed in theirs])


def outcome(ours: Mapping[int, float], theirs: Mapping[int, float]) -> str | None:
    """win, tie or loss of the first row by the paired interval; None with fewer than three shared seeds."""
    found = paired(ours, theirs)
    return None if found is None or found.sign is None else {1: "win", 0: "tie", -1: "loss"}[found.sign]


def ranks(grid: np.ndarray) -> np.ndarray:
    """[datasets, methods]: 1 for the highest score of a dataset, ties share the mean of their ranks."""
    return stats.rankdata(-np.asarray(grid, dtype=float), axis=1)


def friedman(grid: np.ndarray) -> tuple[float, float]:
    """(χ², p) of Friedman's test that all methods rank alike; (0, 1) where no dataset tells any two methods apart."""
    grid = np.asarray(grid, dtype=float)
    if (grid == grid[:, :1]).all():
        return 0.0, 1.0
    found = stats.friedmanchisquare(*grid.T)
    return float(found.statistic), float(found.pvalue)


def critical_difference(methods: int, datasets: int) -> float:
    """The least difference of mean ranks that Nemenyi's test calls one at 5%: q · √(k(k + 1) / 6N), Demšar 2006, section 3.2.2.

    >>> round(critical_difference(10, 4), 2)  # q = 3.164
    6.77
    """
    return float(stats.studentized_range.ppf(1 - ALPHA, methods, np.inf)) / math.sqrt(2) * _rank_error(methods, datasets)


def nemenyi(grid: np.ndarray) -> np.ndarray:
    """[methods, methods]: p of Nemenyi's test of each pair, 1 on the diagonal."""
    count = np.shape(grid)[1]
    means = ranks(grid).mean(axis=0)
    apart = np.abs(means[:, None] - means[None, :]) / _rank_error(count, len(grid)) * math.sqrt(2)
    return np.asarray(stats.studentized_range.sf(apart, count, np.inf)).clip(0, 1)


def _rank_error(methods: int, datasets: int) -> float:
    return math.sqrt(methods * (methods + 1) / (6 * datasets))


def wilcoxon_holm(grid: np.ndarray) -> np.ndarray:
    """[methods, methods]: p of Wilcoxon's signed-rank test of each pair over datasets, corrected by Holm; 1 on the diagonal."""
    count = np.shape(grid)[1]
    pairs = [(a, b) for a in range(count) for b in range(a + 1, count)]
    raw = [_wilcoxon(np.asarray(grid)[:, a] - np.asarray(grid)[:, b]) for a, b in pairs]
    table = np.ones((count, count))
    for (a, b), p in zip(pairs, holm(raw), strict=True):
        table[a, b] = table[b, a] = p
    return table


def _wilcoxon(differences: np.ndarray) -> float:
    return float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0


def holm(values: Sequence[float]) -> list[float]:
    """p values corrected for their number by Holm's step-down rule, in the order given.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, least = [1.0] * len(values), 0.0
    for place, index in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        least = max(least, min(1.0, (len(values) - place) * values[index]))
        corrected[index] = least
    return corrected


@dataclass(frozen=True)
class RankTest:
    """Ranks of methods over datasets, best first, with what Friedman, Nemenyi and Wilcoxon–Holm say of them.

    mean_ranks: [methods]. critical: Nemenyi's critical difference. cliques: maximal runs (first, last) of methods that it
    does not tell apart. nemenyi, wilcoxon: [methods, methods] p values.
    """

    datasets: list[str]
    methods: list[str]
    mean_ranks: list[float]
    statistic: float
    p: float
    critical: float
    cliques: list[tuple[int, int]]
    nemenyi: np.ndarray
    wilcoxon: np.ndarray


def rank_test(means: Mapping[str, Mapping[str, float]], methods: Sequence[str]) -> RankTest | str:
    """The rank tests of methods over datasets, or in words why there are none.

    means: dataset -> method -> its mean over seeds. The grid has to be complete, of at least eight datasets and of three
    to twelve methods.
    """
    names = sorted(methods)
    if len(names) > MAX_METHODS:
        return f"{len(names)} methods are too many to test at once; at most {MAX_METHODS}"
    if len(means) < MIN_DATASETS:
        return TOO_FEW
    if len(names) < 3:
        return "too few methods to rank: at least 3"
    if any(name not in row for row in means.values() for name in names):
        return "the grid is not complete"
    grid = np.array([[row[name] for name in names] for row in means.values()])
    average = ranks(grid).mean(axis=0)
    order = sorted(range(len(names)), key=lambda i: (average[i], names[i]))
    grid, sorted_ranks = grid[:, order], [float(average[i]) for i in order]
    statistic, p = friedman(grid)
    critical = critical_difference(len(names), len(grid))
    return RankTest(
        datasets=list(means),
        methods=[names[i] for i in order],
        mean_ranks=sorted_ranks,
        statistic=statistic,
        p=p,
        critical=critical,
        cliques=cliques(sorted_ranks, critical),
        nemenyi=nemenyi(grid),
        wilcoxon=wilcoxon_holm(grid),
    )


def cliques(mean_ranks: Sequence[float], critical: float) -> list[tuple[int, int]]:
    """The maximal runs (first, last) of two or more sorted mean ranks whose ends differ by less than the critical difference.

    >>> cliques([1.0, 1.5, 3.0, 3.2], 1.0)
    [(0, 1), (2, 3)]
    """
    found: list[tuple[int, int]] = []
    for first in range(len(mean_ranks)):
        last = max(i for i in range(first, len(mean_ranks)) if mean_ranks[i] - mean_ranks[first] < critical)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def pareto(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names that no other beats: name -> (cost, score); of equals both stay. Sorted by cost.

    >>> pareto({"a": (1, 0.5), "b": (2, 0.4), "c": (3, 0.9)})
    ['a', 'c']
    """
    front: list[str] = []
    best = -math.inf
    for name, (cost, score) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1], item[0])):
        if score > best or (front and (cost, score) == points[front[-1]]):
            front.append(name)
            best = score
    return front
