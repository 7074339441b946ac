"""Silhouette: are samples nearer to their own cluster than to the next?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metrics.base import Card
from metrics.parts.sample import sample

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Silhouette (on a sample)",
    source="Rousseeuw, Silhouettes, Journal of Computational and Applied Mathematics 1987",
    needs={"labels_pred", "embeddings"},
    low=-1.0,
    high=1.0,
    better="higher",
    symmetric=False,
    perfect=1.0,
    random=None,
    description="Needs no labels; it judges clusters by the embedding they were made from.",
)

ROWS = 2000  # above so many rows a sample of them is measured
_WIDE = 128  # from so many dimensions on a matrix product is faster than differences
_NEAR = 1e-6  # squared distances below this share of both squared lengths have lost digits


def compute(evidence: Evidence) -> float | None:
    """Mean of (b − a) / max(a, b): a, the mean distance to the own cluster's others, b, to the nearest other cluster's rows.

    embeddings: [n, d] float; labels_pred: [n] integers; of more than 2,000 rows a fixed sample is measured. Euclidean.
    −1: in the wrong clusters, 0: between clusters or alone in one, 1: far apart. None where the sample has one cluster.
    Noise counts as one cluster.

    >>> import metrics
    >>> metrics.get("silhouette").score(embeddings=[[0.0], [0.0], [9.0], [9.0]], labels_pred=[0, 0, 1, 1])
    1.0
    """
    chosen = sample(len(evidence.embeddings), ROWS, evidence.seed)
    rows = evidence.embeddings[chosen].astype(np.float64)
    _, codes = np.unique(evidence.labels_pred[chosen], return_inverse=True)
    sizes = np.bincount(codes)
    if len(sizes) < 2:
        return None
    members = np.eye(len(sizes))[codes]
    totals = distances(rows) @ members
    here = np.arange(len(rows)), codes
    own = totals[here] / np.maximum(sizes[codes] - 1, 1)
    means = totals / sizes
    means[here] = np.inf
    other = means.min(axis=1)
    larger = np.maximum(own, other)
    return np.where((sizes[codes] > 1) & (larger > 0), (other - own) / np.where(larger > 0, larger, 1), 0).mean()


def distances(rows: np.ndarray) -> np.ndarray:
    """[n, n] float64: Euclidean distances between rows [n, d] float64, 0 between equal rows.

    Of wide rows from one matrix product; where two are so near that rounding would show, from their difference.
    """
    from scipy.spatial.distance import cdist

    if rows.shape[1] < _WIDE:
        return cdist(rows, rows)
    rows = rows - rows.mean(axis=0)
    squares = np.einsum("ij,ij->i", rows, rows)
    sums = squares[:, None] + squares
    found = sums - 2 * rows @ rows.T
    near = found <= _NEAR * sums
    np.fill_diagonal(near, False)
    np.fill_diagonal(found, 0)
    found = np.sqrt(np.maximum(found, 0))
    for i in np.flatnonzero(near.any(axis=1)):
        found[i, near[i]] = np.linalg.norm(rows[near[i]] - rows[i], axis=1)
    return found
