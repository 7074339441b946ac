"""Gaussians of which the best rule gets 90% right: ten unit Gaussians around a regular simplex, turned into 16 dimensions."""

from datasets.base import Card, Raw
from datasets.parts import control
from datasets.source import Source

card = Card(
    title="Gaussians, Bayes accuracy 0.90",
    source="drawn by this project: datasets/gaussians_90.py",
    licence="BSD-3-Clause",
    modality="vector",
    shape=[16],
    n=3000,
    classes=10,
    class_names=["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    class_counts=[300, 300, 300, 300, 300, 300, 300, 300, 300, 300],
    sha_inputs="dcc99d9906462db7772eab7ba8c5b035f03f189738b8fc9f7fe6c33ac63e840a",
    sha_labels="629a2b939cb3b2924942eddbc66e76d0a394933ab93a1064f12a234f6f3e0c59",
    bayes_acc=0.9,
)
APART, SEED = 2.982927, 20_26_90


def load(source: Source) -> Raw:
    """300 points around each mean; the distance of two means is √2·APART, chosen for the Bayes accuracy."""
    return control.gaussians(APART, card.n, card.classes, SEED)[0]
