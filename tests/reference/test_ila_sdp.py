"""iLA-SDP against its paper's objective and constraints, written out literally, and what its mechanism promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans

from datasets.base import Inputs
from methods.classical.ila_sdp import IlaSdp, Programme, affine, likelihoods, scatter, semidefinite
from methods.run import Run


def shapes(seed: int) -> tuple[torch.Tensor, np.ndarray]:
    """A flat, a round and a tall Gaussian of 20 rows each, and which is which."""
    drawn = torch.Generator().manual_seed(seed)
    spreads = torch.tensor([[3.0, 0.3], [0.4, 0.4], [0.3, 1.5]]).repeat_interleave(20, 0)
    means = torch.tensor([[0.0, 0.0], [0.0, 2.2], [7.0, 3.0]]).repeat_interleave(20, 0)
    return torch.randn(60, 2, generator=drawn) * spreads + means, np.arange(3).repeat(20)


def members(labels: np.ndarray) -> torch.Tensor:
    """Z_k, 1/n_k where both rows are in k: [k, n, n]."""
    found = torch.nn.functional.one_hot(torch.from_numpy(labels)).T.double()
    return found[:, :, None] * found[:, None, :] / found.sum(1)[:, None, None]


def matched(labels: np.ndarray, found: np.ndarray) -> float:
    """The share of rows in matched clusters."""
    table = np.zeros((3, 3))
    np.add.at(table, (labels, found), 1)
    return float(table[linear_sum_assignment(-table)].sum() / len(labels))


def test_objective_is_the_profile_likelihood() -> None:
    """Σ ⟨A_k, Z_k⟩ is −½ Σ_k (n_k log|Σ_k| + Σ_{i in k} (x_i − x̄_k)ᵀ Σ_k⁻¹ (x_i − x̄_k)), one row at a time."""
    x, labels = shapes(0)
    x = x.double()
    root = torch.randn(3, 2, 2).double()
    covariances = root @ root.mT + torch.eye(2)
    written = 0.0
    for k in range(3):
        mine = x[labels == k]
        written -= len(mine) * float(torch.logdet(covariances[k])) / 2
        for row in mine - mine.mean(0):
            written -= float(row @ torch.linalg.inv(covariances[k]) @ row) / 2
    assert float((likelihoods(x, covariances) * members(labels)).sum()) == pytest.approx(written, abs=1e-6)


def test_covariances_are_those_of_the_members() -> None:
    """For whole members the covariances are the clusters' own, with the ridge on the diagonal."""
    x, labels = shapes(0)
    found = scatter(x.double(), members(labels), 0.01)
    for k in range(3):
        own = torch.cov(x[labels == k].T.double(), correction=0) + 0.01 * torch.eye(2)
        assert torch.allclose(found[k], own, atol=1e-9)


def test_affine_is_a_projection_on_the_constraints() -> None:
    """tr Z_k = 1, (Σ_k Z_k) 1 = 1, symmetric; and what is left over is at right angles to every feasible direction."""
    v = torch.randn(3, 7, 7).double()
    v = v + v.mT
    z = affine(v)
    assert torch.allclose(z.diagonal(dim1=1, dim2=2).sum(1), torch.ones(3).double(), atol=1e-9)
    assert torch.allclose(z.sum((0, 2)), torch.ones(7).double(), atol=1e-9)
    assert torch.allclose(z, z.mT)
    assert torch.allclose(affine(z), z, atol=1e-9)
    other = torch.randn(3, 7, 7).double()
    assert abs(float(((v - z) * (affine(other + other.mT) - z)).sum())) < 1e-8


def test_semidefinite_clips_eigenvalues() -> None:
    """The nearest semidefinite matrix has the same eigenvectors, and no negative eigenvalue."""
    v = torch.randn(2, 6, 6).double()
    v = v + v.mT
    w = semidefinite(v)
    assert float(torch.linalg.eigvalsh(w).min()) > -1e-9
    assert float(torch.linalg.eigvalsh(v - w).max()) < 1e-9


def test_solution_is_feasible_and_beats_the_truth() -> None:
    """The programme's Z holds all constraints but for rounding; being a relaxation, its value is at least that of the classes."""
    x, labels = shapes(0)
    x, truth = x.double(), members(labels)
    a = likelihoods(x, scatter(x, truth, 0.01))
    z = Programme(torch.eye(60).double().expand(3, -1, -1) / 60, 0.3).solve(a, 500)
    assert float(z.min()) > -1e-3
    assert float(torch.linalg.eigvalsh(z).min()) > -1e-3
    assert torch.allclose(z.sum((0, 2)), torch.ones(60).double(), atol=1e-6)
    assert torch.allclose(z.diagonal(dim1=1, dim2=2).sum(1), torch.ones(3).double(), atol=1e-6)
    assert float((a * z).sum()) > float((a * truth).sum()) - 0.5


def test_gaussians_of_different_shapes_are_told_apart() -> None:
    """On flat, round and tall Gaussians iLA-SDP is right where k-means, which knows only round ones, is wrong."""
    ours, theirs = [], []
    for seed in range(3):
        x, labels = shapes(seed)
        method = IlaSdp(components=2, ridge=0.005, steps=80)
        method.fit(Inputs("vector", x), 3, Run(seed=0))
        ours.append(matched(labels, method.assign(x).numpy()))
        theirs.append(matched(labels, KMeans(3, n_init=10, random_state=0).fit_predict(x.numpy())))
    assert np.mean(ours) > np.mean(theirs) + 0.05
