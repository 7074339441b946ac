"""Rings: three concentric circles in the plane, whose means are one point and whose order no line or mixture finds."""

import numpy as np

from datasets.base import Card, Raw
from datasets.parts import control
from datasets.source import Source

card = Card(
    title="Concentric rings",
    source="drawn by this project: datasets/rings.py",
    licence="BSD-3-Clause",
    modality="vector",
    shape=[2],
    n=2100,
    classes=3,
    class_names=["inner", "middle", "outer"],
    class_counts=[700, 700, 700],
    sha_inputs="922ca25dab06b030f5a73d8adafb95bea36016cbae423e2c9fa10aa383f9836e",
    sha_labels="6c32d73923bca917293542ae29951aa200cd427e9919d159e5678de386059f35",
)
NOISE, SEED = 0.1, 20_26_05


def load(source: Source) -> Raw:
    """700 points of each circle, of radius 1, 2 and 3, at angles evenly drawn; noise of deviation 0.1 in both dimensions."""
    draw = control.generator(SEED)
    labels = np.repeat(np.arange(card.classes), card.n // card.classes)
    angles = 2 * np.pi * draw.random(card.n)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return control.on_grid((1 + labels)[:, None] * circle + NOISE * draw.standard_normal((card.n, 2)), labels)
