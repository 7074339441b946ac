"""Digits: handwritten digits, 8×8, that come with scikit-learn.

Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning Repository, 1998 (the test part).
"""

import numpy as np

from datasets.base import Card, Raw
from datasets.source import Source

card = Card(
    title="Digits (UCI optdigits, test part)",
    source="https://archive.ics.uci.edu/dataset/80/optical+recognition+of+handwritten+digits",
    licence="CC BY 4.0",
    modality="image",
    shape=[1, 8, 8],
    n=1797,
    classes=10,
    class_names=["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
    class_counts=[178, 182, 177, 183, 181, 182, 181, 179, 174, 180],
    development=True,
    defects=["the 1,797 images are the UCI set's test part alone; its 3,823 train images do not come with scikit-learn"],
    sha_inputs="e74bf3b15ac651eb11d9e136b2a9f86c06c9802aa2abaac9603b033495b30ee7",
    sha_labels="5383ddd907a091bb4b1156307896bd921e17fad0edc1f88f7e53bb6ed7dd6149",
)


def load(source: Source) -> Raw:
    """All 1,797 images in scikit-learn's order; its values 0..16 become round(x·255/16)."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    pixels = np.rint(images * 255 / 16).astype(np.uint8)
    return Raw(pixels.reshape(-1, *card.shape), labels.astype(np.int64))
