"""What the control sets share: points drawn from a known rule, on a binary grid, the rows of a class together."""

from __future__ import annotations

import numpy as np

from datasets.base import Raw

GRID = 4096  # a last bit that differs between machines or versions of LAPACK changes nothing
DIMENSIONS = 16


def on_grid(points: np.ndarray, labels: np.ndarray) -> Raw:
    """Points [n, d] rounded to multiples of 1/4096, without a negative zero, and their labels [n] int64."""
    return Raw((np.rint(points * GRID) / GRID + 0.0).astype(np.float32), labels.astype(np.int64))


def generator(seed: int) -> np.random.Generator:
    """NumPy's PCG64, whose stream is the same in every version."""
    return np.random.Generator(np.random.PCG64(seed))


def frame(draw: np.random.Generator, size: int, dimensions: int) -> np.ndarray:
    """Random orthonormal rows [size, dimensions], evenly over all such; signs fixed so that LAPACK's choice doesn't count."""
    q, r = np.linalg.qr(draw.standard_normal((dimensions, size)))
    return (q * np.sign(np.diag(r))).T


def gaussians(apart: float, n: int, classes: int, seed: int) -> tuple[Raw, np.ndarray]:
    """Unit Gaussians around `apart` times orthonormal directions in 16 dimensions, and their means [classes, 16] in float64.

    The means are the corners of a regular simplex, so by symmetry the best rule takes the nearest one and is right with
    probability ∫ φ(t)·Φ(t + apart)^(classes − 1) dt.
    """
    draw = generator(seed)
    means = apart * frame(draw, classes, DIMENSIONS)
    labels = np.repeat(np.arange(classes), n // classes)
    return on_grid(means[labels] + draw.standard_normal((n, DIMENSIONS)), labels), means
