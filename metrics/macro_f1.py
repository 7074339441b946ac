"""Macro-F1 after the one-to-one matching."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics.base import Card
from metrics.parts.matching import match, matched

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Macro-F1 after matching",
    source="van Rijsbergen, Information Retrieval, 1979; matching as in ACC",
    needs={"contingency"},
    low=0.0,
    high=1.0,
    better="higher",
    symmetric=False,
    perfect=1.0,
    random=None,
    description="Counts small classes like large ones, and minds what else a cluster holds.",
)


def compute(evidence: Evidence) -> float:
    """(1/|C|) Σ_c 2 |c ∩ m(c)| / (|c| + |m(c)|), m(c) the cluster matched to class c; in (0, 1], 1: clusters are the classes.

    labels_true, labels_pred: [n] integers. The mean is over the classes that occur; one without a cluster counts 0.
    Where several matchings reach the same ACC one is taken, whatever the clusters' numbers.

    >>> import metrics
    >>> metrics.get("macro_f1").score(labels_true=[0, 0, 1, 1], labels_pred=[5, 5, 5, 5])
    0.3333333333333333
    """
    table = evidence.contingency
    rows, columns = match(table)
    hits = matched(table, rows, columns)[rows]
    return (2 * hits / (table.class_sizes[rows] + table.cluster_sizes[columns])).sum() / len(table.classes)
