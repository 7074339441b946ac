"""Expected calibration error of soft assignments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metrics.base import Card
from metrics.parts.contingency import Contingency
from metrics.parts.matching import match

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Expected calibration error (15 bins)",
    source="Guo et al., On calibration of modern neural networks, arXiv:1706.04599, eq. 3; matching as in ACC",
    needs={"labels_true", "soft"},
    low=0.0,
    high=1.0,
    better="lower",
    symmetric=False,
    perfect=0.0,
    random=None,
)

BINS = 15


def compute(evidence: Evidence) -> float:
    """Σ_b |B_b|/n · |acc(B_b) − conf(B_b)| over 15 bins of equal width, (0, 1/15] first; 0: calibrated, 1: sure and wrong.

    labels_true: [n] integers. soft: [n, k] float, rows sum to 1. A sample's prediction is its largest entry (of equals
    the column of less mass), its confidence that entry. Columns are matched to classes one-to-one; those matched to none
    are wrong.

    >>> import metrics
    >>> round(metrics.get("ece").score(labels_true=[0, 0, 1, 1], soft=[[.2, .8], [.2, .8], [.8, .2], [.2, .8]]), 6)
    0.05
    """
    # by mass, so that ties between entries and between matchings never depend on the columns' numbers
    soft = evidence.soft[:, np.argsort(evidence.soft.sum(axis=0, dtype=np.float64), kind="stable")]
    predicted = soft.argmax(axis=1)
    confidence = np.minimum(soft[np.arange(len(soft)), predicted].astype(np.float64), 1.0)
    table = Contingency.of(evidence.labels_true, predicted)
    rows, columns = match(table)
    row_of = np.full(soft.shape[1], -1)
    row_of[table.clusters[columns]] = rows
    right = row_of[predicted] == np.searchsorted(table.classes, evidence.labels_true)
    bins = np.maximum(np.ceil(confidence * BINS).astype(np.int64) - 1, 0)
    return np.abs(np.bincount(bins, right - confidence, minlength=BINS)).sum() / len(soft)
