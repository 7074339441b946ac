"""k-nearest-neighbour classification of frozen embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metrics.base import Card

if TYPE_CHECKING:
    from metrics.evidence import Evidence

cards = {
    "knn": Card(
        title="kNN accuracy (k=20, weights exp(s/0.07))",
        source="Wu et al., Unsupervised feature learning via non-parametric instance discrimination, CVPR 2018, eq. 7",
        needs={"neighbours"},
        low=0.0,
        high=1.0,
        better="higher",
        symmetric=False,
        perfect=1.0,
        random=None,
        headline=True,
    ),
    "knn_200": Card(
        title="kNN accuracy (k=200, weights exp(s/0.1))",
        source="Wu et al. 2018, eq. 7, with the settings common in self-supervised learning",
        needs={"neighbours"},
        low=0.0,
        high=1.0,
        better="higher",
        symmetric=False,
        perfect=1.0,
        random=None,
    ),
    "knn_5": Card(
        title="kNN accuracy (k=5, unweighted)",
        source="Cover & Hart, Nearest neighbor pattern classification, IEEE Trans. Information Theory 1967",
        needs={"neighbours"},
        low=0.0,
        high=1.0,
        better="higher",
        symmetric=False,
        perfect=1.0,
        random=None,
        description="The headline where a class has fewer than 20 training rows.",
    ),
}

SETTINGS = {"knn": (20, 0.07), "knn_200": (200, 0.1), "knn_5": (5, None)}  # neighbours, temperature
_TIE = 1e-9  # votes that differ by less of the winner's weight are a tie
_CELLS = 1 << 22


def compute(evidence: Evidence, name: str) -> float:
    """Share of test rows whose class gets the largest vote of the k nearest training rows; 0: none, 1: all.

    embeddings_train [m, d], labels_train [m], embeddings_test [t, d], labels_test [t]. Neighbours by cosine similarity
    s, exact, ties by lowest index; a vote weighs exp(s/T), or 1. Tied votes go to the lowest class id. With fewer than
    k training rows all of them vote.

    >>> import metrics
    >>> metrics.get("knn_5").score(embeddings_train=[[1, 0], [1, 0], [0, 1]], labels_train=[0, 0, 1],
    ...                            embeddings_test=[[2, 0], [0, 2]], labels_test=[0, 1])
    0.5
    """
    k, temperature = SETTINGS[name]
    indices, similarities = evidence.neighbours.indices[:, :k], evidence.neighbours.similarities[:, :k]
    classes, codes = np.unique(evidence.labels_train, return_inverse=True)
    right = 0
    step = max(1, _CELLS // len(classes))
    for start in range(0, len(indices), step):
        block = slice(start, start + step)
        weights = np.ones_like(similarities[block]) if temperature is None else np.exp(similarities[block] / temperature)
        winners = vote(codes[indices[block]], weights, len(classes))
        right += int((classes[winners] == evidence.labels_test[block]).sum())
    return right / len(indices)


def vote(codes: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """[b] int64: the lowest class code among those with the largest total weight; codes, weights: [b, k]."""
    cells = np.arange(len(codes))[:, None] * count + codes
    votes = np.bincount(cells.ravel(), weights.ravel(), minlength=len(codes) * count).reshape(-1, count)
    return (votes >= votes.max(axis=1, keepdims=True) * (1 - _TIE)).argmax(axis=1)
