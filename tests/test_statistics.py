"""Statistics: as scipy and scikit-posthocs compute them, and as small cases come out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.report import statistics
from benchmark.report.statistics import TOO_FEW, RankTest, holm, interval, outcome, paired, pareto, rank_test, ranks

POSTHOCS = "ignore::DeprecationWarning"


def grid(seed: int, datasets: int, methods: int, *, rounded: bool = False) -> np.ndarray:
    """[datasets, methods] of scores; rounded: to one digit, so that many tie."""
    drawn = np.random.default_rng(seed).random((datasets, methods)) + 0.1 * np.arange(methods)
    return drawn.round(1) if rounded else drawn


@pytest.mark.parametrize("seed", range(3))
def test_interval_is_that_of_scipy(seed: int) -> None:
    """The interval of a mean is scipy's confidence interval of a one-sample t test, of a difference that of a paired one."""
    ours, theirs = np.random.default_rng(seed).random((2, 5))
    found, wanted = interval(ours.tolist()), stats.ttest_1samp(ours, 0).confidence_interval()
    assert found is not None
    assert (found.low, found.high) == pytest.approx(tuple(wanted))
    pair, wanted = paired(dict(enumerate(ours)), dict(enumerate(theirs))), stats.ttest_rel(ours, theirs).confidence_interval()
    assert pair is not None
    assert (pair.low, pair.high) == pytest.approx(tuple(wanted))


def test_no_interval_below_three() -> None:
    """One or two values have a mean, but no interval; no value has neither."""
    assert interval([]) is None
    assert interval([0.5]) == statistics.Interval(1, 0.5, None, None)
    two = interval([0.5, 0.7])
    assert two is not None
    assert (two.mean, two.low, two.sign) == (pytest.approx(0.6), None, None)


def test_pairs_are_decided_by_shared_seeds_alone() -> None:
    """A row that is one point better on each shared seed wins, however far apart the seeds are; two decide nothing."""
    base = {0: 0.2, 1: 0.5, 2: 0.9, 7: 0.0}
    better = {0: 0.21, 1: 0.512, 2: 0.911, 5: 0.0}
    assert outcome(better, base) == "win"
    assert outcome(base, better) == "loss"
    assert outcome(base, base) == "tie"
    assert outcome({0: 0.1, 1: 0.9, 2: 0.5}, base) == "tie"
    assert outcome({0: 0.21, 1: 0.512}, base) is None
    assert outcome({5: 0.1}, base) is None


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_friedman_and_ranks_are_those_of_scipy_and_pandas(seed: int, rounded: bool) -> None:
    """Ranks are pandas', highest first, ties shared; Friedman's test is scipy's, with and without ties."""
    drawn = grid(seed, 9, 4, rounded=rounded)
    assert ranks(drawn) == pytest.approx(pd.DataFrame(drawn).rank(axis=1, ascending=False).to_numpy())
    assert statistics.friedman(drawn) == pytest.approx(tuple(stats.friedmanchisquare(*drawn.T)))


def test_friedman_by_hand() -> None:
    """Three methods in the same order on four datasets: χ² = 12·4/(3·4)·(1 + 4 + 9) − 3·4·4 = 8; all equal: nothing differs."""
    statistic, p = statistics.friedman(np.tile([0.3, 0.2, 0.1], (4, 1)))
    assert statistic == pytest.approx(8)
    assert p == pytest.approx(math.exp(-4))
    assert statistics.friedman(np.ones((8, 3))) == (0.0, 1.0)


@pytest.mark.filterwarnings(POSTHOCS)
@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize(("datasets", "methods"), [(8, 3), (10, 5), (20, 12)])
def test_post_hoc_tests_are_those_of_scikit_posthocs(datasets: int, methods: int, rounded: bool) -> None:
    """Nemenyi's test and Wilcoxon's with Holm's correction agree with scikit-posthocs, ties included."""
    posthocs = pytest.importorskip("scikit_posthocs")
    drawn = grid(methods, datasets, methods, rounded=rounded)
    assert statistics.nemenyi(drawn) == pytest.approx(posthocs.posthoc_nemenyi_friedman(drawn).to_numpy(), abs=1e-6)
    long = pd.DataFrame(drawn).melt(var_name="method", value_name="score")
    wanted = posthocs.posthoc_wilcoxon(long, val_col="score", group_col="method", p_adjust="holm")
    assert statistics.wilcoxon_holm(drawn) == pytest.approx(wanted.to_numpy())


@pytest.mark.parametrize(("methods", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (10, 3.164)])
def test_critical_difference_is_demsars(methods: int, q: float) -> None:
    """The critical values are those of table 5(a) in Demšar 2006."""
    assert statistics.critical_difference(methods, 14) == pytest.approx(q * math.sqrt(methods * (methods + 1) / 84), rel=3e-4)


def test_holm_by_hand() -> None:
    """The smallest p is multiplied by their number, the next by one less; none falls below the one before, none above 1."""
    assert holm([0.04, 0.01, 0.03, 0.9]) == pytest.approx([0.09, 0.04, 0.09, 0.9])
    assert holm([0.6, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def table(drawn: np.ndarray) -> tuple[dict[str, dict[str, float]], list[str]]:
    """A grid as `rank_test` takes it."""
    methods = [f"m{i}" for i in range(drawn.shape[1])]
    return {f"d{i}": dict(zip(methods, map(float, row), strict=True)) for i, row in enumerate(drawn)}, methods


def test_a_rank_test_says_who_is_ahead() -> None:
    """On eight datasets a method that always wins is first; methods within the critical difference share a clique."""
    means, methods = table(np.tile([0.1, 0.2, 0.9], (8, 1)) + 0.01 * np.arange(8)[:, None])
    found = rank_test(means, methods)
    assert isinstance(found, RankTest)
    assert (found.methods, found.mean_ranks) == (["m2", "m1", "m0"], [1, 2, 3])
    assert found.critical == pytest.approx(2.343 * math.sqrt(12 / 48), rel=1e-3)
    assert found.cliques == [(0, 1), (1, 2)]
    assert found.p == pytest.approx(math.exp(-8))


@pytest.mark.parametrize(
    ("shape", "word"),
    [((5, 4), TOO_FEW), ((1, 4), TOO_FEW), ((8, 1), "too few methods"), ((8, 13), "too many"), ((0, 4), TOO_FEW)],
)
def test_no_rank_test_where_the_protocol_allows_none(shape: tuple[int, int], word: str) -> None:
    """Five datasets, one dataset, none, one method, thirteen methods: words instead of a test."""
    found = rank_test(*table(grid(0, *shape)))
    assert isinstance(found, str)
    assert word in found


def test_no_rank_test_on_a_grid_with_a_hole() -> None:
    """A method without a mean on one dataset stops the test."""
    means, methods = table(grid(0, 9, 4))
    del means["d3"]["m2"]
    assert rank_test(means, methods) == "the grid is not complete"


def test_front_of_cost_and_score() -> None:
    """A method stays that nobody beats in both; equals both stay; a dearer one with the same score goes."""
    points = {"a": (1.0, 0.5), "b": (2.0, 0.4), "c": (3.0, 0.9), "d": (3.0, 0.9), "e": (4.0, 0.9), "f": (3.0, 0.8)}
    assert pareto(points) == ["a", "c", "d"]
    assert pareto({}) == []
    assert pareto({"a": (1.0, 0.0)}) == ["a"]
