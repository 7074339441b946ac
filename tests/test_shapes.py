"""The drawn set is the same bytes everywhere, balanced, and no class is told by anything but its figure."""

import numpy as np
import pytest

from benchmark.ground.files import sha256_array
from datasets import shapes


@pytest.fixture(scope="module")
def raw():
    """The whole set."""
    return shapes.load()


def test_bytes_are_the_cards(raw):
    """Inputs and labels hash to what the card says."""
    assert sha256_array(raw.inputs) == shapes.card.sha_inputs
    assert sha256_array(raw.labels) == shapes.card.sha_labels


def test_shape_counts_and_names_are_the_cards(raw):
    """Shape, dtype, class counts and names are the card's."""
    assert raw.inputs.shape == (shapes.card.n, *shapes.card.shape)
    assert raw.inputs.dtype == np.uint8
    assert raw.labels.dtype == np.int64
    assert tuple(np.bincount(raw.labels)) == tuple(shapes.card.class_counts)
    assert tuple(shapes.FIGURES) == tuple(shapes.card.class_names)
    assert len(shapes.FIGURES) == shapes.card.classes
    assert raw.split is None


def test_no_picture_repeats(raw):
    """All pictures differ."""
    assert len(np.unique(raw.inputs.reshape(len(raw.inputs), -1), axis=0)) == shapes.card.n


def test_colour_does_not_tell_the_class(raw):
    """Mean colour of ground and of the brightest pixels differ less between classes than within."""
    corner = raw.inputs[:, :, :3, :3].mean(axis=(2, 3))
    bright = np.sort(raw.inputs.reshape(len(raw.inputs), 3, -1), axis=2)[:, :, -50:].mean(axis=2)
    for feature in (corner, bright):
        means = np.stack([feature[raw.labels == c].mean(axis=0) for c in range(10)])
        assert means.std(axis=0).max() < 0.4 * feature.std(axis=0).min()


def test_pixels_do_not_tell_the_class(raw):
    """K-means on the pixels of every third picture stays below an accuracy of 0.4, so that learning has something to add."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.cluster import KMeans

    labels, pixels = raw.labels[::3], raw.inputs[::3].reshape(len(raw.inputs) // 3, -1) / np.float32(255)
    found = KMeans(10, n_init=3, random_state=0).fit_predict(pixels)
    table = np.zeros((10, 10), dtype=int)
    np.add.at(table, (labels, found), 1)
    rows, columns = linear_sum_assignment(-table)
    assert table[rows, columns].sum() / len(found) < 0.4
