"""Blobs: six Gaussian clouds in eight dimensions, for tests."""

import numpy as np

from datasets.base import Card, Raw
from datasets.source import Source

card = Card(
    title="Gaussian blobs",
    source="generated",
    licence="CC0",
    modality="vector",
    shape=[8],
    n=600,
    classes=6,
    class_counts=[100, 100, 100, 100, 100, 100],
    hidden=True,
    development=True,
    sha_inputs="990911e4643c4a73407f0322975e78681a48d5945a3507fc9cdb59a8cc6d1663",
    sha_labels="d626e67b8dd793ee1c2b6ea7f9b5abcb8d3fb4c7af9c1f9daaf61bf94129f05e",
)


def load(source: Source) -> Raw:
    """Centres 4·N(0, I), points N(centre, I), the rows of a class together."""
    generator = np.random.Generator(np.random.PCG64(20160))
    labels = np.repeat(np.arange(card.classes, dtype=np.int64), card.n // card.classes)
    centres = 4 * generator.standard_normal((card.classes, *card.shape))
    points = centres[labels] + generator.standard_normal((card.n, *card.shape))
    # On a grid of 1/256, so that a last bit that differs between machines changes nothing.
    return Raw((np.rint(points * 256) / 256).astype(np.float32), labels)
