"""Adjusted mutual information."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metrics.base import Card
from metrics.parts.information import entropy, mutual_information

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Adjusted mutual information (arithmetic mean)",
    source="Vinh, Epps & Bailey, Information theoretic measures for clusterings comparison, JMLR 2010",
    needs={"contingency"},
    low=None,
    high=1.0,
    better="higher",
    symmetric=True,
    perfect=1.0,
    random=0.0,
    headline=True,
    description="Corrected for chance: the headline where a method finds the number of clusters itself.",
)


def compute(evidence: Evidence) -> float:
    """(I − E[I]) / ((H(C) + H(K))/2 − E[I]), E over tables with the same margins; 0: chance, 1: the same partition.

    labels_true, labels_pred: [n] integers. One class and one cluster: 1; only one of the two: 0.

    >>> import metrics
    >>> metrics.get("ami").score(labels_true=[0, 0, 1, 1], labels_pred=[1, 1, 0, 0])
    1.0
    """
    table = evidence.contingency
    if len(table.counts) == len(table.classes) == len(table.clusters):
        return 1.0
    if len(table.classes) == 1 or len(table.clusters) == 1:
        return 0.0
    expected = expected_information(table.class_sizes, table.cluster_sizes)
    mean = (entropy(table.class_sizes) + entropy(table.cluster_sizes)) / 2
    return (mutual_information(table) - expected) / (mean - expected)


def expected_information(class_sizes: np.ndarray, cluster_sizes: np.ndarray) -> float:
    """E[I] in nats over tables with these margins, [c] and [k] int64 (Vinh et al. 2010, eq. 24a), one term a pair of sizes.

    A cell's count is hypergeometric. Counts further than 12 standard deviations + 40 from its mean are left out: their
    probability is below 1e-25 (Bernstein). So 1000 × 1000 classes and clusters of a million samples take under a second.
    """
    from scipy.special import gammaln

    n = int(class_sizes.sum())
    factorial = gammaln(np.arange(n + 1, dtype=np.float64) + 1)
    b, b_times = np.unique(cluster_sizes, return_counts=True)
    total = 0.0
    for a, a_times in zip(*np.unique(class_sizes, return_counts=True), strict=True):
        mean = a * b / n
        reach = 12 * np.sqrt(mean * (1 - a / n) * (1 - b / n) * n / max(n - 1, 1)) + 40
        first = np.maximum(np.maximum(1, a + b - n), np.floor(mean - reach)).astype(np.int64)
        last = np.minimum(np.minimum(a, b), np.ceil(mean + reach)).astype(np.int64)
        lengths = np.maximum(last - first + 1, 0)
        pair = np.repeat(np.arange(len(b)), lengths)
        count = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths) + first[pair]
        size = b[pair]
        fixed = factorial[a] + factorial[b] + factorial[n - a] + factorial[n - b] - factorial[n]
        free = factorial[count] + factorial[a - count] + factorial[size - count] + factorial[n - a - size + count]
        gain = count / n * (np.log(n * count / size) - np.log(a))
        total += float(a_times * (b_times[pair] * gain * np.exp(fixed[pair] - free)).sum())
    return total
