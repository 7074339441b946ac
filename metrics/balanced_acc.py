"""Balanced accuracy after the one-to-one matching."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics.base import Card
from metrics.parts.matching import match, matched

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Balanced ACC after matching",
    source="Brodersen et al., The balanced accuracy and its posterior distribution, ICPR 2010; matching as in ACC",
    needs={"contingency"},
    low=0.0,
    high=1.0,
    better="higher",
    symmetric=False,
    perfect=1.0,
    random=None,
    description="Counts small classes like large ones; not corrected for chance.",
)


def compute(evidence: Evidence) -> float:
    """(1/|C|) Σ_c |c ∩ m(c)| / |c|, m(c) the cluster matched to class c; in (0, 1], 1: every sample of every class is right.

    labels_true, labels_pred: [n] integers. The mean is over the classes that occur; one without a cluster counts 0.
    The matching is ACC's: the one with the most samples right, not the one with the best mean.

    >>> import metrics
    >>> metrics.get("balanced_acc").score(labels_true=[0, 0, 0, 1], labels_pred=[5, 5, 5, 5])
    0.5
    """
    table = evidence.contingency
    return (matched(table, *match(table)) / table.class_sizes).mean()
