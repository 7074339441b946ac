"""IMSAT, VaDE, VAE, JointVAE and cpl-mixVAE against their papers' formulas, and what their mechanisms promise."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from datasets.base import Inputs
from methods.autoencoder import imsat, vade
from methods.autoencoder.ae_kmeans import AeKmeans
from methods.autoencoder.cpl_mixvae import FLOOR, CplMixVAE, agreement, coupled, distance
from methods.autoencoder.imsat import IMSAT
from methods.autoencoder.joint_vae import JointVAE, information, shortfall
from methods.autoencoder.vade import Mixture, VaDE, as_logits, mixture_kl
from methods.autoencoder.vae_kmeans import VaeKmeans
from methods.parts.variational import categorical_kl, gaussian_kl, misfit, sample_categorical, sample_gaussian
from methods.run import Run


def rows(n: int = 120, d: int = 6, *, apart: float = 4.0) -> torch.Tensor:
    """Three groups of vectors: [n, d] float32; row i belongs to group i % 3."""
    drawn = torch.Generator().manual_seed(1)
    return torch.randn(n, d, generator=drawn) + apart * torch.randn(3, d, generator=drawn).repeat(n // 3, 1)


def pictures(n: int = 240) -> torch.Tensor:
    """Images of three kinds, told apart by which third is bright: [n, 1, 12, 12] uint8."""
    drawn = torch.Generator().manual_seed(2)
    x = torch.randint(0, 60, (n, 1, 12, 12), generator=drawn)
    for kind in range(3):
        x[kind::3, :, 4 * kind : 4 * kind + 4] += 190
    return x.to(torch.uint8)


def fitted(method, x: torch.Tensor, **parts):
    """The method after its fit with k = 3, and its run."""
    run = Run(seed=0, parts=parts)
    torch.manual_seed(0)
    method.fit(Inputs("image" if x.dtype == torch.uint8 else "vector", x), 3, run)
    return method, run


@pytest.fixture(scope="module")
def autoencoder() -> AeKmeans:
    """A small autoencoder, trained on vectors whose groups touch."""
    return fitted(AeKmeans(widths=(32, 32), code=2, epochs=30, least_steps=1, batch_size=32), rows(apart=1.5))[0]


# Divergences, samples, likelihoods


def test_gaussian_kl_is_that_of_the_integral() -> None:
    """KL(N(m, s²) ‖ N(0, 1)) agrees with the integral of q log(q/p), on a grid."""
    z = torch.linspace(-30, 30, 600001, dtype=torch.float64)
    for mean, var in ((0.0, 1.0), (1.3, 0.4), (-2.0, 2.5)):
        q = torch.exp(-((z - mean) ** 2) / (2 * var)) / math.sqrt(2 * math.pi * var)
        ratio = -((z - mean) ** 2) / (2 * var) - 0.5 * math.log(var) + z**2 / 2
        found = gaussian_kl(torch.tensor(mean, dtype=torch.float64), torch.tensor(var, dtype=torch.float64).log())
        assert float(found) == pytest.approx(float((q * ratio).sum() * 1e-4), abs=1e-6)


def test_categorical_kl_is_the_sum_over_categories() -> None:
    """KL(q ‖ uniform) is Σ q log(q k): 0 for a uniform row, log k for a certain one."""
    q = torch.rand(20, 5, dtype=torch.float64).softmax(1)
    by_hand = [sum(value * math.log(value * 5) for value in row) for row in q.tolist()]
    assert torch.allclose(categorical_kl(q.log()), torch.tensor(by_hand, dtype=torch.float64), atol=1e-6, rtol=0)
    assert float(categorical_kl(torch.tensor([[0.0, -100.0]]))) == pytest.approx(math.log(2))


def test_misfit_is_minus_the_log_likelihood() -> None:
    """Images: Σ −x log μ − (1−x) log(1−μ) with μ = sigmoid(output); vectors: the squared distance."""
    output, x = torch.randn(4, 3), torch.rand(4, 3)
    for row, out, target in zip(misfit(output, x, image=True).tolist(), output.tolist(), x.tolist(), strict=True):
        means = [1 / (1 + math.exp(-value)) for value in out]
        by_hand = -sum(t * math.log(m) + (1 - t) * math.log(1 - m) for t, m in zip(target, means, strict=True))
        assert row == pytest.approx(by_hand, abs=1e-5)
    assert torch.allclose(misfit(output, x, image=False), ((output - x) ** 2).sum(1), atol=1e-6)


def test_samples_follow_their_distributions() -> None:
    """Gaussian samples have the mean and variance asked for; the largest entry of a Gumbel-softmax sample falls as q says."""
    drawn = torch.Generator().manual_seed(0)
    z = sample_gaussian(torch.full((20000, 1), 2.0), torch.full((20000, 1), math.log(0.25)), drawn)
    assert float(z.mean()) == pytest.approx(2, abs=0.02)
    assert float(z.std()) == pytest.approx(0.5, abs=0.02)
    q = torch.tensor([0.6, 0.3, 0.1])
    c = sample_categorical(q.log().expand(20000, 3), 0.67, drawn)
    assert torch.allclose(F.one_hot(c.argmax(1)).float().mean(0), q, atol=0.02)
    assert torch.allclose(c.sum(1), torch.ones(20000), atol=1e-5)


# VAE


def test_vae_is_held_by_its_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    """The means of a trained VAE keep within the prior; without the divergence they spread far beyond it."""
    settings = {"widths": (32,), "code": 2, "epochs": 40, "least_steps": 1, "batch_size": 40, "lr": 0.01, "precision": "fp32"}
    held, run = fitted(VaeKmeans(**settings), rows())
    assert run.curve["reconstruction"][-1] < 0.5 * run.curve["reconstruction"][0]
    assert held.embed(rows()).var(0).max() < 3
    monkeypatch.setattr("methods.autoencoder.vae_kmeans.gaussian_kl", lambda mean, log_var: 0 * mean)
    free, _ = fitted(VaeKmeans(**settings), rows())
    assert free.embed(rows()).var(0).max() > 10


# IMSAT


def test_entropies_are_sums_over_rows_and_clusters() -> None:
    """H(Y|X) and H(Y) agree with the sums over rows and clusters written out."""
    p = torch.rand(30, 4).softmax(1)
    conditional, marginal = imsat.entropies(p.log() + 3)
    mean = [sum(row[j] for row in p.tolist()) / 30 for j in range(4)]
    assert float(marginal) == pytest.approx(-sum(m * math.log(m) for m in mean), abs=1e-6)
    assert float(conditional) == pytest.approx(-sum(v * math.log(v) for row in p.tolist() for v in row) / 30, abs=1e-6)


def test_adversary_is_one_power_iteration() -> None:
    """For a linear network the gradient of KL(p ‖ q) at ξd is ξ Wᵀ(q − p): the direction is that, at length 1."""
    weight, x, start = 0.3 * torch.randn(4, 6), torch.randn(10, 6), torch.randn(10, 6)
    logits = x @ weight.T
    found = imsat.adversary(lambda at: at @ weight.T, x, logits, start, 0.5)
    unit = start / start.norm(dim=1, keepdim=True)
    gradient = (((x + 0.5 * unit) @ weight.T).softmax(1) - logits.softmax(1)) @ weight
    assert torch.allclose(found, gradient / gradient.norm(dim=1, keepdim=True), atol=1e-5, rtol=0)


def test_adversary_changes_predictions_more_than_chance() -> None:
    """A step in the found direction moves p(y|x) farther than a random step of the same length."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(20, 30), torch.nn.ReLU(), torch.nn.Linear(30, 5))
    x, start = torch.randn(200, 20), torch.randn(200, 20)
    logits = network(x).detach()
    found = imsat.adversary(network, x, logits, start, 1.0)
    assert imsat.kl(logits, network(x + 0.5 * found)) > 2 * imsat.kl(logits, network(x + 0.5 * F.normalize(start, dim=1)))


def test_neighbour_distance_is_the_sorted_one() -> None:
    """The distance to the tenth neighbour is the tenth of the sorted distances to all other rows."""
    x = torch.randn(40, 5)
    by_hand = [sorted(math.dist(a, b) for j, b in enumerate(x.tolist()) if j != i)[9] for i, a in enumerate(x.tolist())]
    assert torch.allclose(imsat.neighbour_distance(x, 10), torch.tensor(by_hand), atol=1e-4)


def test_radius_follows_the_local_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a fit each row is moved by a quarter of its own neighbour distance: ten times as far where rows lie ten times apart."""
    x = rows(120)
    x[60:] *= 10
    seen = []

    class Spy(imsat.Classifier):
        def forward(self, at, *, note=True):
            seen.append(at.detach())
            return super().forward(at, note=note)

    monkeypatch.setattr(imsat, "Classifier", Spy)
    fitted(IMSAT(width=16, epochs=1, batch_size=120, precision="fp32"), x)
    still, _, moved = seen
    distance_ = torch.cdist(x, x).sort(dim=1).values[:, 10]
    order = torch.cdist(still, x).argmin(1)
    assert torch.allclose((moved - still).norm(dim=1), 0.25 * distance_[order], rtol=1e-3)
    steps = torch.empty(120).scatter_(0, order, (moved - still).norm(dim=1))
    assert float(steps[60:].mean() / steps[:60].mean()) == pytest.approx(10, rel=0.15)


def test_self_augmentation_makes_predictions_steady() -> None:
    """With virtual adversarial training p(y|x) moves less under small adversarial steps than without."""
    moved = {}
    for reach in (0.0, 0.5):
        method, run = fitted(IMSAT(width=64, epochs=40, batch_size=40, reach=reach), rows(apart=1.0))
        x = rows(apart=1.0)
        logits = method.network(x).detach()
        far = imsat.adversary(method.network, x, logits, torch.randn(120, 6), 1.0)
        moved[reach] = float(imsat.kl(logits, method.network(x + 0.5 * far).detach()))
        assert (run.curve["smooth"][-1] > 1e-6) == (reach > 0)
    assert moved[0.5] < 0.5 * moved[0.0]


def test_marginal_entropy_keeps_clusters_in_use() -> None:
    """With μ = 4 three clusters of like size are found; with μ = 0 one stays empty."""
    on, _ = fitted(IMSAT(width=64, epochs=30, batch_size=60), rows())
    assert torch.bincount(on.assign(rows()), minlength=3).min() > 25
    off, _ = fitted(IMSAT(width=64, epochs=30, batch_size=60, marginal=0.0), rows())
    assert torch.bincount(off.assign(rows()), minlength=3).min() == 0


# VaDE


def random_mixture(k: int = 3, d: int = 2) -> Mixture:
    """A mixture with drawn parameters, in float64."""
    mixture = Mixture(k, d).double()
    with torch.no_grad():
        for parameter in mixture.parameters():
            parameter.normal_()
    return mixture


def as_lists(mixture: Mixture) -> tuple[list, list, list]:
    """Weights [k], means [k][d] and variances [k][d]."""
    return mixture.logits.softmax(0).tolist(), mixture.means.tolist(), mixture.log_vars.exp().tolist()


def normal(a: float, mean: float, var: float) -> float:
    """The density N(a; mean, var)."""
    return math.exp(-((a - mean) ** 2) / (2 * var)) / math.sqrt(2 * math.pi * var)


def test_responsibilities_are_bayes_rule() -> None:
    """p(c|z) is π_c N(z; μ_c, σ_c²) over its sum, VaDE eq. 16, one number at a time."""
    mixture, z = random_mixture(), torch.randn(15, 2, dtype=torch.float64)
    clusters = list(zip(*as_lists(mixture), strict=True))
    for row, found in zip(z.tolist(), mixture.log_responsibilities(z).exp().tolist(), strict=True):
        joint = [pi * math.prod(normal(a, m, v) for a, m, v in zip(row, mu, s2, strict=True)) for pi, mu, s2 in clusters]
        assert found == pytest.approx([value / sum(joint) for value in joint], abs=1e-6)


def test_bound_is_vade_equation_12() -> None:
    """All terms but the reconstruction agree with the sums over clusters and dimensions written out."""
    mixture = random_mixture()
    mean, log_var = torch.randn(7, 2, dtype=torch.float64), torch.randn(7, 2, dtype=torch.float64)
    log_gamma = torch.randn(7, 3, dtype=torch.float64).log_softmax(1)
    found = mixture_kl(mean, log_var, log_gamma, mixture).tolist()
    pi, mu, var = as_lists(mixture)
    for i in range(7):
        m, s2, gamma = mean[i].tolist(), log_var[i].exp().tolist(), log_gamma[i].exp().tolist()
        bound = 0.5 * sum(1 + math.log(s2[j]) for j in range(2))
        for c in range(3):
            inner = sum(math.log(var[c][j]) + s2[j] / var[c][j] + (m[j] - mu[c][j]) ** 2 / var[c][j] for j in range(2))
            bound += -0.5 * gamma[c] * inner + gamma[c] * math.log(pi[c] / gamma[c])
        assert -found[i] == pytest.approx(bound, abs=1e-6)


def test_one_standard_cluster_makes_a_plain_vae() -> None:
    """With one cluster N(0, 1) the divergence is that of a VAE."""
    mean, log_var = torch.randn(9, 4), torch.randn(9, 4)
    found = mixture_kl(mean, log_var, torch.zeros(9, 1), Mixture(1, 4))
    assert torch.allclose(found, gaussian_kl(mean, log_var).sum(1), atol=1e-5)


def test_decoder_starts_as_the_autoencoders() -> None:
    """As logits, an output of black becomes −4 and one of white +4, whatever the encoder's scale."""
    method, _ = fitted(AeKmeans(widths=(16,), code=2, epochs=1, least_steps=1), pictures())
    network, z = method.network, torch.randn(5, 2)
    before = network.decoder(z) / network.encoder.scale
    as_logits(network, 8.0)
    assert torch.allclose(network.decoder(z), 8 * before - 4, atol=1e-4)


def test_mixture_separates_codes(autoencoder: AeKmeans, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its mixture VaDE draws the groups apart; with one standard normal prior it doesn't."""
    x = rows(apart=1.5)

    def separation() -> float:
        method, _ = fitted(VaDE(epochs=60, batch_size=40, lr=0.005, starts=1), x, autoencoder=autoencoder)
        z, assigned = method.embed(x), method.assign(x)
        within = sum(((z[assigned == c] - z[assigned == c].mean(0)) ** 2).sum() for c in assigned.unique())
        return 1 - float(within / ((z - z.mean(0)) ** 2).sum())

    on = separation()
    monkeypatch.setattr(vade, "mixture_kl", lambda mean, log_var, *_: gaussian_kl(mean, log_var).sum(1))
    assert on > separation() + 0.1


def test_vade_trains_all_it_has(autoencoder: AeKmeans) -> None:
    """Encoder, decoder, weights, means and variances of the mixture move; the part stays as it was."""
    before = {name: tensor.clone() for name, tensor in autoencoder.state().items()}
    method, run = fitted(VaDE(epochs=2, batch_size=40, starts=1), rows(apart=1.5), autoencoder=autoencoder)
    assert all(parameter.grad.abs().sum() > 0 for parameter in method.mixture.parameters())
    for weight, start in zip(method.network.decoder.parameters(), autoencoder.network.decoder.parameters(), strict=True):
        assert not torch.equal(weight, start)
    assert all(torch.equal(before[name], tensor) for name, tensor in autoencoder.state().items())
    assert set(run.curve) == {"reconstruction", "kl"}


# JointVAE


def test_capacities_hold_divergences_from_both_sides() -> None:
    """Each divergence is held to its capacity from both sides, and the categorical one to log k at most."""
    found = shortfall(torch.tensor(1.5), torch.tensor(2.0), 4.0, 10)
    assert float(found) == pytest.approx(abs(1.5 - 4.0) + abs(2.0 - math.log(10)), abs=1e-6)
    assert float(shortfall(torch.tensor(5.0), torch.tensor(2.0), 1.0, 10)) == pytest.approx(4.0 + 1.0, abs=1e-6)


def test_information_is_that_of_the_joint_distribution() -> None:
    """It is Σ_i Σ_c q_ic/n log(q_ic / q_c): nothing where all rows fall into one category, log k where they share them evenly."""
    q = torch.randn(30, 4).softmax(1)
    mean = [sum(row[c] for row in q.tolist()) / 30 for c in range(4)]
    by_hand = sum(row[c] / 30 * math.log(row[c] / mean[c]) for row in q.tolist() for c in range(4))
    assert float(information(q.log())) == pytest.approx(by_hand, abs=1e-6)
    one, even = torch.full((8, 4), -50.0), torch.full((8, 4), -50.0)
    one[:, 0], even[torch.arange(8), torch.arange(8) % 4] = 0.0, 0.0
    assert float(information(one)) == pytest.approx(0, abs=1e-6)
    assert float(information(even)) == pytest.approx(math.log(4), abs=1e-6)


def test_discrete_capacity_is_used_up() -> None:
    """The categorical code carries nearly log 3 nats where its capacity allows that, and far less where it is zero."""
    settings = {"steps": 300, "batch_size": 40, "hidden": 32}
    x = rows(apart=20.0)
    on, run = fitted(JointVAE(**settings), x)
    assert run.curve["discrete"][-1] > 0.9 * math.log(3)
    assert len(on.assign(x).unique()) > 1
    _, run = fitted(JointVAE(**settings, capacity=0.0), x)
    assert run.curve["discrete"][-1] < 0.4


# cpl-mixVAE


def test_distance_is_that_of_scaled_logarithms() -> None:
    """d² is Σ_k (log p_k − log q_k)² / σ_k² with the mean of both variances over the batch, one number at a time."""
    p, q = torch.randn(9, 4, dtype=torch.float64).softmax(1), torch.randn(9, 4, dtype=torch.float64).softmax(1)

    def variance(column: list[float]) -> float:
        mean = sum(column) / len(column)
        return sum((value - mean) ** 2 for value in column) / (len(column) - 1)

    spread = [(variance(p[:, k].tolist()) + variance(q[:, k].tolist())) / 2 + FLOOR for k in range(4)]
    for found, a, b in zip(distance(p.log(), q.log()).tolist(), p.tolist(), q.tolist(), strict=True):
        by_hand = sum((math.log(a[k]) - math.log(b[k])) ** 2 / spread[k] for k in range(4))
        assert found == pytest.approx(by_hand, rel=1e-6)


def test_distance_grows_where_all_rows_are_alike() -> None:
    """The same disagreement, as a ratio of probabilities, costs more where posteriors hardly differ between rows."""
    ratio = 1 + 0.1 * torch.rand(50, 4)
    sharp, blunt = (10 * torch.randn(50, 4)).softmax(1), (0.1 * torch.randn(50, 4)).softmax(1)
    assert distance(blunt.log(), (blunt * ratio).log()).mean() > 2 * distance(sharp.log(), (sharp * ratio).log()).mean()


@pytest.mark.parametrize("arms", [2, 3])
def test_coupled_bound_is_that_of_cpl_mixvae(arms: int) -> None:
    """(A − 1) Σ bound − Σ_{a<b} (H_a + H_b) + λ Σ_{a<b} d²_ab, written out."""
    bounds = [torch.tensor(float(a + 1)) for a in range(arms)]
    log_q = [torch.randn(8, 3).log_softmax(1) for _ in range(arms)]
    loss, _ = coupled(bounds, log_q, 0.7)
    entropy = [-sum(math.exp(v) * v for row in q.tolist() for v in row) / 8 for q in log_q]
    by_hand = (arms - 1) * sum(float(b) for b in bounds)
    for a in range(arms):
        for b in range(a + 1, arms):
            by_hand += 0.7 * float(distance(log_q[a], log_q[b]).mean()) - entropy[a] - entropy[b]
    assert float(loss) == pytest.approx(by_hand, rel=1e-5)


def test_consensus_rises_when_coupled() -> None:
    """Coupled arms put images into the same clusters; arms on their own number them each in its own way."""
    together = {}
    for coupling in (0.0, 1.0):
        settings = {"width": 48, "epochs": 40, "batch_size": 80, "states": 2}
        method, _ = fitted(CplMixVAE(**settings, coupling=coupling), pictures())
        x = pictures().flatten(1).float() / 255
        together[coupling] = float(agreement([arm.category(x)[1] for arm in method.network]))
    assert together[1.0] > 0.9
    assert together[0.0] < 0.8
