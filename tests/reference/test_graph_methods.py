"""SpectralNet, DeepDPM and HCHC against their papers' formulas, written out literally, and what their ideas promise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import gammaln, multigammaln

from datasets.base import Inputs
from methods.autoencoder import deepdpm, hchc, spectralnet
from methods.autoencoder.ae_kmeans import AeKmeans
from methods.parts.niw import NIW
from methods.parts.targets import sharpened
from methods.run import Run


def groups(n: int, k: int, d: int, *, seed: int = 1, apart: float = 6.0) -> tuple[torch.Tensor, torch.Tensor]:
    """k well separated groups of rows: [n, d] float32 of about unit variance, and their labels [n]."""
    drawn = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % k
    x = apart * torch.randn(k, d, generator=drawn)[labels] + torch.randn(n, d, generator=drawn)
    return (x - x.mean(0)) / x.var(0).mean().sqrt(), labels


@pytest.fixture(scope="module")
def autoencoder() -> AeKmeans:
    """A small autoencoder of vectors, trained."""
    torch.manual_seed(0)
    method = AeKmeans(widths=(16, 24), code=3, epochs=3, least_steps=60, batch_size=32)
    method.fit(Inputs("vector", groups(300, 3, 6)[0]), 3, Run(seed=0))
    return method


def same_clusters(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two labellings are one partition."""
    pairs = {*zip(a.tolist(), b.tolist(), strict=True)}
    return len(pairs) == len(set(a.tolist())) == len(set(b.tolist()))


# SpectralNet


def test_affinities_are_gaussians_of_a_local_scale() -> None:
    """W agrees with exp(−‖z_i − z_j‖² / 2σ_i²) over the nearest neighbours, made symmetric, written out."""
    z = torch.randn(12, 3).tolist()
    far = [[sum((a - b) ** 2 for a, b in zip(zi, zj, strict=True)) for zj in z] for zi in z]
    w = [[0.0] * 12 for _ in z]
    for i in range(12):
        order = sorted((j for j in range(12) if j != i), key=lambda j: far[i][j])
        for j in order[:4]:
            w[i][j] = math.exp(-far[i][j] / (2 * far[i][order[1]]))
    by_hand = torch.tensor([[(w[i][j] + w[j][i]) / 2 for j in range(12)] for i in range(12)])
    assert torch.allclose(spectralnet.affinity(torch.tensor(z), 4, 2), by_hand, atol=1e-6, rtol=0)


def test_spectral_loss_is_that_of_spectralnet() -> None:
    """The Rayleigh quotient agrees with 1/m² Σ W_ij ‖y_i − y_j‖², written out."""
    y, w = torch.randn(9, 4), torch.rand(9, 9)
    w = w + w.T
    by_hand = sum(float(w[i, j] * (y[i] - y[j]).square().sum()) for i in range(9) for j in range(9)) / 81
    assert float(spectralnet.spectral_loss(w, y)) == pytest.approx(by_hand, rel=1e-5)


def test_contrastive_loss_is_that_of_spectralnet() -> None:
    """Half the mean of ‖z − z⁺‖² plus half the mean of max(c − ‖z − z⁻‖, 0)²."""
    z, near, far = torch.randn(3, 8, 2)
    by_hand = 0.0
    for a, p, n in zip(z, near, far, strict=True):
        by_hand += float((a - p).square().sum()) + max(1.5 - float((a - n).square().sum()) ** 0.5, 0) ** 2
    assert float(spectralnet.contrastive(z, near, far, 1.5)) == pytest.approx(by_hand / 16, abs=1e-5)


def test_outputs_of_spectralnet_are_orthonormal(autoencoder: AeKmeans) -> None:
    """After the fit YᵀY / n is the identity on its rows; without the last layer it isn't."""
    x, labels = groups(300, 3, 6)
    method = spectralnet.SpectralNet(widths=(32, 32, 16), siamese_epochs=3, spectral_epochs=12, batch_size=100)
    torch.manual_seed(0)
    method.fit(Inputs("vector", x), 3, Run(seed=0, parts={"autoencoder": autoencoder}))
    y = method.embed(x)
    assert torch.allclose(y.T @ y / len(x), torch.eye(3), atol=1e-3)
    bare = method.spectral.body(method._codes(x))
    assert not torch.allclose(bare.T @ bare / len(x), torch.eye(3), atol=0.1)
    assert same_clusters(method.assign(x), labels)


def test_spectral_training_lowers_the_rayleigh_quotient(autoencoder: AeKmeans) -> None:
    """Orthonormal outputs alone are no eigenvectors: training brings W's loss under half of its start."""
    method = spectralnet.SpectralNet(widths=(32, 32, 16), siamese_epochs=1, spectral_epochs=12, batch_size=100)
    run = Run(seed=0, parts={"autoencoder": autoencoder})
    torch.manual_seed(0)
    method.fit(Inputs("vector", groups(300, 3, 6)[0]), 3, run)
    assert run.curve["spectral"][-1] < 0.5 * run.curve["spectral"][0]


# DeepDPM


def literal_log_marginal(x: np.ndarray, mean: np.ndarray, kappa: float, psi: np.ndarray, nu: float) -> float:
    """log f(X; λ) of the normal-inverse-Wishart prior, with scipy's gamma functions."""
    n, d = x.shape
    centre = x.mean(0)
    scatter = sum(np.outer(row - centre, row - centre) for row in x)
    after = psi + scatter + kappa * n / (kappa + n) * np.outer(centre - mean, centre - mean)
    return float(
        -n * d / 2 * math.log(math.pi)
        + multigammaln((nu + n) / 2, d)
        - multigammaln(nu / 2, d)
        + nu / 2 * np.linalg.slogdet(psi)[1]
        - (nu + n) / 2 * np.linalg.slogdet(after)[1]
        + d / 2 * (math.log(kappa) - math.log(kappa + n))
    )


def prior(d: int, kappa: float, nu: float) -> NIW:
    """A prior with an uneven ψ."""
    drawn = torch.Generator().manual_seed(4)
    root = torch.randn(d, d, generator=drawn, dtype=torch.float64)
    psi = root @ root.T + torch.eye(d, dtype=torch.float64)
    mean = torch.randn(d, generator=drawn, dtype=torch.float64)
    return NIW(mean, torch.tensor(kappa, dtype=torch.float64), psi, torch.tensor(nu, dtype=torch.float64))


def test_hastings_ratio_is_that_of_deepdpm() -> None:
    """log H_s agrees with α Γ(N₁) f(X₁) Γ(N₂) f(X₂) / (Γ(N) f(X)), marginals in closed form by scipy."""
    x = torch.randn(30, 3, dtype=torch.float64)
    method = deepdpm.DeepDPM(alpha=7.0)
    method.prior = prior(3, 0.4, 5.5)
    first = (torch.arange(30) < 11).long()[:, None]
    found = float(method.log_split(x, torch.ones_like(first), first, 1 - first))
    known = (method.prior.mean.numpy(), 0.4, method.prior.psi.numpy(), 5.5)
    f = [literal_log_marginal(part.numpy(), *known) for part in (x[:11], x[11:], x)]
    by_hand = math.log(7) + gammaln(11) + f[0] + gammaln(19) + f[1] - gammaln(30) - f[2]
    assert found == pytest.approx(by_hand, abs=1e-6)


def test_marginal_likelihood_is_a_product_of_predictions() -> None:
    """f(X) is the product of each row's Student-t prediction from the rows before it: the chain rule, without the formula."""
    x, before, total = torch.randn(6, 2, dtype=torch.float64), prior(2, 0.7, 4.0), 0.0
    for i in range(6):
        seen = NIW(*(part[0] for part in vars(before.posterior(x[:i], torch.ones(i, 1))).values())) if i else before
        freedom = float(seen.nu) - 1
        scale = (seen.psi * (seen.kappa + 1) / (seen.kappa * freedom)).numpy()
        apart = (x[i] - seen.mean).numpy()
        square = apart @ np.linalg.solve(scale, apart)
        total += gammaln((freedom + 2) / 2) - gammaln(freedom / 2) - math.log(freedom * math.pi)
        total -= np.linalg.slogdet(scale)[1] / 2 + (freedom + 2) / 2 * math.log1p(square / freedom)
    assert float(before.log_marginal(x, torch.ones(6, 1))) == pytest.approx(float(total), abs=1e-8)


def test_losses_of_deepdpm() -> None:
    """KL(r ‖ r^E) with r^E from Bayes' rule, and the isotropic loss of the cutting nets, written out."""
    x, mean = torch.randn(10, 3), torch.randn(4, 3)
    root = torch.randn(4, 3, 3).tril(-1) + 2 * torch.eye(3)
    covariance, pi = root @ root.transpose(1, 2), torch.rand(4).softmax(0)
    normal = [torch.distributions.MultivariateNormal(m, c) for m, c in zip(mean, covariance, strict=True)]
    joint = torch.stack([p * one.log_prob(x).exp() for p, one in zip(pi, normal, strict=True)], dim=1)
    target = joint / joint.sum(1, keepdim=True)
    r = torch.rand(10, 4).softmax(1)
    ours = (pi.log() + deepdpm.log_normal(x, mean, torch.linalg.inv(root))).log_softmax(1)
    by_hand = sum(float(r[i, j] * (r[i, j] / target[i, j]).log()) for i in range(10) for j in range(4)) / 10
    assert float(deepdpm.divergence(r.log(), ours)) == pytest.approx(by_hand, abs=1e-5)
    soft, means = torch.rand(10, 2).softmax(1), torch.randn(10, 2, 3)
    cut = sum(float(soft[i, j] * (x[i] - means[i, j]).square().sum()) for i in range(10) for j in range(2)) / 10
    assert float(deepdpm.isotropic(x, soft, means)) == pytest.approx(cut, abs=1e-5)


@pytest.mark.parametrize("k", [5, 20])
def test_deepdpm_finds_the_number_of_clusters(k: int) -> None:
    """On separated groups the number found is within two of theirs, from a single cluster at the start."""
    x, _ = groups(600, k, 10, seed=k)
    method = deepdpm.DeepDPM(rounds=8, interval=70, refresh=20, freeze=40, batch_size=128, lr=0.01)
    torch.manual_seed(0)
    method.search(x, Run(seed=0))
    assert abs(len(method.net(x).argmax(1).unique()) - k) <= 2


def test_merges_undo_needless_splits() -> None:
    """Two clusters that cut one group apart are united again; two groups are not."""
    x, labels = groups(400, 2, 4)
    method = deepdpm.DeepDPM()
    method.prior = NIW(*(torch.tensor(v, dtype=torch.float64) for v in ([0.0] * 4, 1e-4, (0.03 * np.eye(4)).tolist(), 6.0)))
    halves = (torch.arange(400) // 2 % 2)[:, None]
    one = (labels == 0).long()[:, None]
    assert float(method.log_split(x, one, one * halves, one * (1 - halves))) < -5
    assert float(method.log_split(x, torch.ones_like(one), one, 1 - one)) > 5


# HCHC


def test_similarities_are_those_of_the_rank_kernel() -> None:
    """exp(−slope · kernel) over the closest rows of each column, the kernel (rank + rank + 1) · exp(d/σ), written out."""
    z = torch.randn(9, 3)
    far = [[float((a - b).square().sum()) for b in z] for a in z]
    top = max(map(max, far))
    far = [[value / top for value in row] for row in far]
    rank = [[sum(other < value for other in row) for value in row] for row in far]
    kernel = [[(rank[i][j] + rank[j][i] + 1) * math.exp(far[i][j] / 10) for j in range(9)] for i in range(9)]
    by_hand = torch.zeros(9, 9)
    for j in range(9):
        limit = sorted(kernel[i][j] for i in range(9))[4]
        for i in range(9):
            by_hand[i, j] = math.exp(-0.2 * kernel[i][j]) if kernel[i][j] < limit - 1e-9 else 0
    assert torch.allclose(hchc.similarities(z, 4, 10.0, 0.2), by_hand, atol=1e-6)


def test_pair_loss_is_a_cross_entropy() -> None:
    """−S log P − (1 − S) log(1 − P) over all pairs, P_ij = Σ_c q_ic q_jc, written out."""
    q, close = torch.randn(6, 3).softmax(1).tolist(), torch.rand(6, 6)
    total = 0.0
    for i, j in itertools.product(range(6), repeat=2):
        p, s = sum(a * b for a, b in zip(q[i], q[j], strict=True)), float(close[i, j])
        total -= s * math.log(p) + (1 - s) * math.log(1 - p)
    assert float(hchc.pair_loss(torch.tensor(q), close)) == pytest.approx(total / 36, abs=1e-5)


def test_loss_of_hchc_has_four_terms(autoencoder: AeKmeans) -> None:
    """The gradient of the first step is that of reconstruction, neighbours, agreement under noise and divergence, written out."""
    x, _ = groups(300, 3, 6)
    run, method = (
        Run(seed=0, parts={"autoencoder": autoencoder}),
        hchc.HCHC(epochs=1, batch_size=300, precision="fp32", noise=0.0),
    )
    torch.manual_seed(0)
    method.fit(Inputs("vector", x), 3, run)
    curve = {name: values[0] for name, values in run.curve.items()}
    centres, _ = hchc.kmeans(autoencoder.embed(x), 3, Run(seed=0), starts=10)
    code = autoencoder.embed(x)
    q = 1 / (1 + (code[:, None] - centres).square().sum(2))
    q = q / q.sum(1, keepdim=True)
    p = sharpened(q)
    assert curve["kl"] == pytest.approx(float((p * (p / q).log()).sum() / 300), abs=1e-4)
    assert curve["local"] == pytest.approx(float(hchc.pair_loss(q, hchc.similarities(code, 11, 10.0, 0.2))), abs=1e-3)
    assert curve["steady"] == pytest.approx(0, abs=1e-9)
    parameter = method.network.encoder.code.bias
    assert parameter.grad is not None


@pytest.mark.parametrize("k", [2, 3, 7])
def test_cycle_is_the_shortest(k: int) -> None:
    """No other order of the anchors makes a shorter cycle."""
    points = np.random.default_rng(k).normal(size=(k, 3))
    apart = np.linalg.norm(points[:, None] - points[None], axis=2).tolist()
    tour = hchc.shortest_cycle(apart)
    assert sorted(tour) == list(range(k))
    shortest = min(hchc.length([0, *rest], apart) for rest in itertools.permutations(range(1, k)))
    assert hchc.length(tour, apart) == pytest.approx(shortest)


def test_long_cycles_are_improved() -> None:
    """Beyond the exact search, anchors on a ring come out in the ring's order."""
    angles = np.random.default_rng(0).permutation(20) * 2 * np.pi / 20
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2).tolist()
    assert hchc.length(hchc.shortest_cycle(apart), apart) == pytest.approx(20 * 2 * math.sin(math.pi / 20))


def test_layout_puts_sure_rows_on_their_anchor() -> None:
    """Anchors lie on the unit circle, a sure row on its anchor, a row torn between all within; like clusters are neighbours."""
    q = torch.tensor([[0.97, 0.01, 0.01, 0.01]]).repeat(4, 1).clone()
    q = torch.stack([row.roll(i) for i, row in enumerate(q)]).repeat(5, 1)
    q = torch.cat([q, torch.tensor([[0.5, 0.0, 0.5, 0.0], [0.0, 0.5, 0.0, 0.5]]).repeat(6, 1)])
    anchors = hchc.circle(q)
    assert torch.allclose(anchors.norm(dim=1), torch.ones(4), atol=1e-6)
    order = torch.atan2(anchors[:, 1], anchors[:, 0]).argsort().tolist()
    place = {cluster: order.index(cluster) for cluster in range(4)}
    assert (place[0] - place[2]) % 4 in (1, 3)
    assert (place[1] - place[3]) % 4 in (1, 3)


def test_hchc_keeps_neighbours_together(autoencoder: AeKmeans) -> None:
    """The neighbours' loss falls further where it has a weight: close rows share their cluster, far ones don't."""
    x, _ = groups(300, 3, 6, apart=1.0)

    def loss(local: float) -> float:
        method = hchc.HCHC(epochs=12, batch_size=100, local=local, decay=1.0, least=0.0, steady=0.0, lr=0.003, precision="fp32")
        torch.manual_seed(0)
        run = Run(seed=0, parts={"autoencoder": autoencoder})
        method.fit(Inputs("vector", x), 3, run)
        return run.curve["local"][-1]

    assert loss(20.0) < loss(0.0) - 0.01
