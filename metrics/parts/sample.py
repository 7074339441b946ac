"""A fixed sample of rows for metrics whose cost grows with the square of their number."""

from __future__ import annotations

import numpy as np


def sample(n: int, limit: int, seed: int = 0) -> np.ndarray:
    """[min(n, limit)] int64, rising: all rows, or `limit` of them drawn without replacement, the same every time."""
    if n <= limit:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, limit, replace=False))
