"""Effective rank of the embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metrics.base import Card

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Effective rank",
    source="Roy & Vetterli, The effective rank: a measure of effective dimensionality, EUSIPCO 2007, definition 1",
    needs={"embeddings"},
    low=0.0,
    high=None,
    better="neither",
    symmetric=False,
    perfect=None,
    random=None,
    description="Near 1 for an embedding whose dimensions have collapsed into one.",
)

_NOTHING = 1e-12  # a squared singular value below this share of the largest is rounding


def compute(evidence: Evidence) -> float:
    """exp(−Σ_i p_i log p_i), p_i = σ_i / Σ σ, σ the singular values of the centred embedding; at most min(n − 1, d).

    embeddings: [n, d] float. 1: all variance in one direction; 0: no variance at all (all rows alike, or n = 1).

    >>> import metrics
    >>> round(metrics.get("effective_rank").score(embeddings=[[1, 0], [-1, 0], [0, 1], [0, -1]]), 6)
    2.0
    """
    rows = evidence.embeddings
    if (rows == rows[0]).all():
        return 0.0
    centred = rows - rows.mean(axis=0, dtype=np.float64)
    gram = centred.T @ centred if len(rows) >= rows.shape[1] else centred @ centred.T
    squares = np.linalg.eigvalsh(gram)
    values = np.sqrt(squares[squares > _NOTHING * squares[-1]])
    p = values / values.sum()
    return np.exp(-(p * np.log(p)).sum())
