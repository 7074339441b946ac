"""SLOGAN against its paper's formulas, written out literally, and what its mechanism promises."""

from __future__ import annotations

import math

import pytest
import torch

from datasets.base import Inputs
from methods.autoencoder.slogan import SLOGAN, Mixture, u2c
from methods.run import Run


def mixture(seed: int = 0) -> Mixture:
    """Three components in two dimensions, of different weights and shapes."""
    drawn = torch.Generator().manual_seed(seed)
    found = Mixture(3, 2, 1.0, drawn).double()
    root = torch.randn(3, 2, 2, generator=drawn).double()
    found.covariances = root @ root.mT / 2 + 0.5 * torch.eye(2)
    found.logits = torch.tensor([0.5, -0.3, 0.1]).double()
    return found


def density(z: list[float], mean: torch.Tensor, covariance: torch.Tensor) -> float:
    """N(z; μ, Σ)."""
    away = torch.tensor(z).double() - mean
    return math.exp(-float(away @ torch.linalg.inv(covariance) @ away) / 2) / (
        2 * math.pi * math.sqrt(float(torch.linalg.det(covariance)))
    )


def test_responsibilities_are_slogan_equation_2() -> None:
    """q(c|z) agrees with π_c N(z; μ_c, Σ_c) over its sum, written out."""
    q, z = mixture(), torch.randn(10, 2).double()
    table = []
    for row in z.tolist():
        joint = [float(q.weights[c]) * density(row, q.means[c], q.covariances[c]) for c in range(3)]
        table.append([value / sum(joint) for value in joint])
    assert torch.allclose(q.log_joint(z).softmax(1), torch.tensor(table).double(), atol=1e-6)


def test_gradients_are_slogan_equations_3_5_and_7() -> None:
    """The batch's estimates agree with the paper's sums, one row and component at a time, to 1e-6."""
    q, z, slope, loss = mixture(), torch.randn(10, 2).double(), torch.randn(10, 2).double(), torch.randn(10).double()
    mean, covariance, weight = q.gradients(z, slope, loss)
    share = q.log_joint(z).softmax(1)
    for c in range(3):
        inverse = torch.linalg.inv(q.covariances[c])
        s = sum(share[i, c] * inverse @ torch.outer(z[i] - q.means[c], slope[i]) for i in range(10)) / 10
        assert torch.allclose(mean[c], sum(share[i, c] * slope[i] for i in range(10)) / 10, atol=1e-6)
        assert torch.allclose(covariance[c], (s + s.T) / 4, atol=1e-6)
        delta = share[:, c] / q.weights[c]
        assert float(weight[c]) == pytest.approx(float((q.weights[c] * (delta - 1) * loss).mean()), abs=1e-6)


def test_gradients_are_those_of_the_expected_loss() -> None:
    """For ℓ(z) = aᵀz + zᵀBz, E_q[ℓ] has a closed form; many draws give its gradients."""
    q, a, b = mixture(), torch.tensor([0.5, -1.0]).double(), torch.tensor([[0.6, 0.2], [0.2, -0.4]]).double()
    means, covariances, logits = (t.clone().requires_grad_() for t in (q.means, q.covariances, q.logits))
    by_component = means @ a + ((means @ b) * means).sum(1) + (b * covariances).sum((1, 2))
    (logits.softmax(0) * by_component).sum().backward()
    z = q.sample(400_000, torch.Generator().manual_seed(1))
    estimates = q.gradients(z, a + 2 * z @ b, z @ a + ((z @ b) * z).sum(1))
    for found, exact in zip(estimates, (means.grad, covariances.grad, logits.grad), strict=True):
        assert torch.allclose(found, exact, atol=0.01)


def test_updates_keep_covariances_positive_definite() -> None:
    """Equation 6: however long the step, Σ_c stays positive definite; without its second term it would not."""
    q = mixture()
    slope = 30 * torch.ones(3, 2, 2).double()
    plain = q.covariances - slope
    q.step((torch.zeros(3, 2).double(), slope, torch.zeros(3).double()), 1.0, 1.0)
    assert float(torch.linalg.eigvalsh(plain).min()) < 0
    assert float(torch.linalg.eigvalsh(q.covariances).min()) > 0


def test_contrast_is_slogan_equation_10() -> None:
    """U2C agrees with −log(exp(s cos θ_ii) / mean_j exp(s cos θ_ij)), one number at a time, to 1e-6."""
    codes, prototypes = torch.randn(6, 4).double(), torch.randn(6, 4).double()

    def cosine(i: int, j: int) -> float:
        return float(codes[i] @ prototypes[j] / codes[i].norm() / prototypes[j].norm())

    for i, found in enumerate(u2c(codes, prototypes, 4.0).tolist()):
        below = sum(math.exp(4 * cosine(i, j)) for j in range(6)) / 6
        assert found == pytest.approx(-math.log(math.exp(4 * cosine(i, i)) / below), abs=1e-6)


def fitted(**changes: object) -> SLOGAN:
    """SLOGAN after a short fit on two groups, 7 to 3."""
    drawn = torch.Generator().manual_seed(0)
    x = 0.1 * torch.randn(600, 2, generator=drawn)
    x[:, 0] += torch.where(torch.arange(600) < 420, 1.0, -1.0)
    torch.manual_seed(0)
    method = SLOGAN(**{"latent": 8, "width": 16, "steps": 250, "batch_size": 64, "lr": 0.002, "rate": 0.06, **changes})
    method.fit(Inputs("vector", x), 2, Run(seed=0))
    return method


def test_unequal_weights_are_recovered() -> None:
    """Two groups, 7 to 3: the components find them, and the weights their sizes; at rate 0 they stay 5 to 5."""
    method = fitted()
    found = method.assign(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    assert found[0] != found[1]
    assert float(method.mixture.weights[found[0]]) == pytest.approx(0.7, abs=0.12)
    still = fitted(rate=0.0, steps=20)
    assert torch.allclose(still.mixture.weights, torch.tensor([0.5, 0.5]))
