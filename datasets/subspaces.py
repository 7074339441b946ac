"""Subspaces: points on eight random linear subspaces of four dimensions in 32, with a little noise.

Every class has the mean zero, and the classes cross there: what tells them apart is direction, never place.
"""

import numpy as np

from datasets.base import Card, Raw
from datasets.parts import control
from datasets.source import Source

card = Card(
    title="Union of subspaces",
    source="drawn by this project: datasets/subspaces.py",
    licence="BSD-3-Clause",
    modality="vector",
    shape=[32],
    n=2400,
    classes=8,
    class_names=["0", "1", "2", "3", "4", "5", "6", "7"],
    class_counts=[300, 300, 300, 300, 300, 300, 300, 300],
    sha_inputs="01940e4e779c6dc9337f0eda0dc9855d34d95bba6f0be60765c7e6a4b50b776b",
    sha_labels="f2193cd8298f713e2ce0f63a1952a8f2d1b8f1048c82bf2695c92947dfa86397",
)
DIMENSIONS, NOISE, SEED = 4, 0.05, 20_26_04


def load(source: Source) -> Raw:
    """300 points of each subspace: standard normal coordinates in it, and noise of deviation 0.05 in all 32 dimensions."""
    draw = control.generator(SEED)
    each = card.n // card.classes
    parts = []
    for _ in range(card.classes):
        basis = control.frame(draw, DIMENSIONS, card.shape[0])
        # A sum of four products rather than a matrix product, whose order of summation is the library's.
        parts.append(sum(draw.standard_normal((each, 1)) * direction for direction in basis))
    points = np.concatenate(parts)
    points = points + NOISE * draw.standard_normal(points.shape)
    return control.on_grid(points, np.repeat(np.arange(card.classes), each))
