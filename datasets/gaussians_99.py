"""Gaussians of which the best rule gets 99% right: ten unit Gaussians around a regular simplex, turned into 16 dimensions."""

from datasets.base import Card, Raw
from datasets.parts import control
from datasets.source import Source

card = Card(
    title="Gaussians, Bayes accuracy 0.99",
    source="drawn by this project: datasets/gaussians_99.py",
    licence="BSD-3-Clause",
    modality="vector",
    shape=[16],
    n=3000,
    classes=10,
    class_names=["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    class_counts=[300, 300, 300, 300, 300, 300, 300, 300, 300, 300],
    sha_inputs="9a2b37c6f61db7c77228378cc839d4daaca2a35b53b208701bc0c50b5f49f21f",
    sha_labels="629a2b939cb3b2924942eddbc66e76d0a394933ab93a1064f12a234f6f3e0c59",
    bayes_acc=0.99,
)
APART, SEED = 4.245557, 20_26_99


def load(source: Source) -> Raw:
    """300 points around each mean; the distance of two means is √2·APART, chosen for the Bayes accuracy."""
    return control.gaussians(APART, card.n, card.classes, SEED)[0]
