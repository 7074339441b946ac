"""Agglomeration by path integrals against the definition, written out, and why it walks instead of weighing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.metrics import adjusted_rand_score

from methods.parts.agglomeration import Agglomeration, affinities, neighbours
from methods.parts.linkage import chained, gaussians_of, linked, merged, transitions


def literal_gain(p: np.ndarray, a: np.ndarray, b: np.ndarray, step: float) -> float:
    """S_a|ab − S_a + S_b|ab − S_b of row indices a and b, S_a|ab the paths of the walk p from a to a within both."""

    def paths(rows: np.ndarray, within: np.ndarray) -> float:
        inside = np.isin(within, rows).astype(float)
        return float(inside @ np.linalg.inv(np.eye(len(within)) - step * p[np.ix_(within, within)]) @ inside) / len(rows) ** 2

    both = np.concatenate([a, b])
    return paths(a, both) - paths(a, a) + paths(b, both) - paths(b, b)


def test_affinities_are_incremental_path_integrals() -> None:
    """On a walk's probabilities the affinity of two clusters is what their path integrals gain by merging, up to some ζ."""
    x = np.random.default_rng(0).normal(size=(40, 3))
    labels = np.arange(40) % 5
    weights = affinities(*neighbours(x, 8), 1.0)
    walk = weights.toarray() + np.eye(40)  # the authors' code: a row is its own neighbour
    walk /= walk.sum(1, keepdims=True)
    centres = np.stack([x[labels == c].mean(0) for c in range(5)])
    merging = Agglomeration(csr_array(transitions(weights)), labels, centres, local=1)
    for i in range(5):
        for j in range(i):
            gain = literal_gain(walk, np.flatnonzero(labels == i), np.flatnonzero(labels == j), step=0.01)
            assert 1e4 * gain == pytest.approx(merging.affinity[i, j], rel=0.04)


def test_walks_part_what_weights_join() -> None:
    """Two dense clusters beside a sparse one: one scale for all weights joins them, a walk's probabilities don't."""
    labels = np.repeat(np.arange(3), [150, 150, 60])
    spread, places = np.array([0.1, 0.1, 3.0]), np.zeros((3, 4))
    places[1:, 0] = 0.45, 30.0
    x = np.random.default_rng(0).normal(size=(360, 4)) * spread[labels, None] + places[labels]

    assert adjusted_rand_score(labels, linked(torch.from_numpy(x), 3)) > 0.9
    assert adjusted_rand_score(labels, merged(x, chained(x, 3), 3, least=6)) < 0.5


def test_gaussians_are_means_and_their_common_covariance() -> None:
    """Means of the clusters, and the covariance of rows about them with the ridge on its diagonal."""
    x, labels = torch.randn(30, 2), torch.arange(30) % 3
    means, within = gaussians_of(x, labels, ridge=0.5)
    assert torch.allclose(means, torch.stack([x[labels == c].mean(0) for c in range(3)]), atol=1e-6)
    apart = x - means[labels]
    assert torch.allclose(within, apart.T @ apart / 30 + 0.5 * torch.eye(2), atol=1e-6)
