"""Uniformity of the embedding on the unit sphere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metrics.base import Card
from metrics.parts.sample import sample

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="Uniformity",
    source="Wang & Isola, arXiv:2005.10242, section 4.1.2, t = 2",
    needs={"embeddings"},
    low=-8.0,
    high=0.0,
    better="neither",
    symmetric=False,
    perfect=None,
    random=None,
    description="Lower is more evenly spread; spreading classes apart lowers it, and so does spreading noise.",
)

ROWS = 4096  # above so many rows a sample of them is measured


def compute(evidence: Evidence) -> float | None:
    """log of the mean of exp(−2 ‖x − y‖²) over all pairs of rows x ≠ y, scaled to length 1; 0: all in one point.

    embeddings: [n, d] float; of more than 4,096 rows a fixed sample is measured. About −4 where rows are evenly spread in
    many dimensions, −8 only for two opposite rows. None for a single row. Rows of zeros stay at the origin.

    >>> import metrics
    >>> metrics.get("uniformity").score(embeddings=[[1.0, 0.0], [-3.0, 0.0]])
    -8.0
    """
    rows = evidence.embeddings[sample(len(evidence.embeddings), ROWS, evidence.seed)].astype(np.float64)
    if len(rows) < 2:
        return None
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = rows / np.where(norms == 0, 1, norms)
    squares = (rows * rows).sum(axis=1)
    total = 0.0
    for start in range(0, len(rows), 512):
        distances = squares[start : start + 512, None] + squares - 2 * rows[start : start + 512] @ rows.T
        own = np.arange(len(distances))
        distances[own, start + own] = np.inf
        total += np.exp(-2 * np.clip(distances, 0, None)).sum()
    return np.log(total / (len(rows) * (len(rows) - 1)))
