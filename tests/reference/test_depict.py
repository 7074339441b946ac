"""DEPICT and its autoencoder against the paper's formulas, written out, and what the prior does."""

from __future__ import annotations

import copy

import pytest
import torch
from drawn import K, strokes, train
from sklearn.metrics import adjusted_rand_score
from torch import nn

from methods.autoencoder.ae_kmeans import AeKmeans
from methods.autoencoder.depict import DEPICT, balanced, layered, posterior
from methods.parts.batches import flat
from methods.parts.linkage import linked
from methods.parts.targets import sharpened


@pytest.fixture(scope="module")
def autoencoder() -> AeKmeans:
    """A small autoencoder, trained."""
    return train(AeKmeans(widths=(16, 24), code=3, epochs=20, least_steps=60, batch_size=32))[0]


def test_targets_are_depicts_closed_form() -> None:
    """q is p over the root of the clusters' sizes, rows normalised, written out; its square is the p of DEC."""
    p = torch.randn(20, 5).softmax(1)
    sizes = [sum(row[j] for row in p.tolist()) ** 0.5 for j in range(5)]
    q = [[value / sizes[j] for j, value in enumerate(row)] for row in p.tolist()]
    q = torch.tensor([[value / sum(row) for value in row] for row in q])
    assert torch.allclose(balanced(p, 1), q, atol=1e-6, rtol=0)
    assert torch.allclose(balanced(p, 2), sharpened(p), atol=1e-6, rtol=0)


def test_head_starts_from_mahalanobis_distances() -> None:
    """The softmax begins as that of −(z − μ)ᵀ S⁻¹ (z − μ) / 2d, written out."""
    z, means, root = torch.randn(20, 4), torch.randn(5, 4), torch.randn(4, 4)
    within = root @ root.T + torch.eye(4)
    inverse = torch.linalg.inv(within)
    apart = torch.tensor([[float((zi - mj) @ inverse @ (zi - mj)) for mj in means] for zi in z])
    assert torch.allclose(posterior(means, within)(z).softmax(1), (-apart / 8).softmax(1), atol=1e-6, rtol=0)


def test_loss_is_that_of_depict(autoencoder: AeKmeans) -> None:
    """Without noise, the gradient of the first step is that of cross-entropy and all reconstructions, written out."""
    plan = {"begin": 0, "epochs": 1, "batch_size": 90, "lr": 0.0, "dropouts": (0.0, 0.0), "precision": "fp32", "inner": 0.3}
    method, _ = train(DEPICT(**plan), {"autoencoder": autoencoder})
    network, x = copy.deepcopy(autoencoder.network), flat(strokes())
    network.zero_grad()
    clean = [x * network.encoder.scale]
    for layer in (0, 2):
        clean.append(network.encoder.body[layer](clean[-1]).clamp_min(0))
    code = network.encoder.code(clean[-1])
    outer = network.decoder[0](code).clamp_min(0)
    middle = network.decoder[2](outer).clamp_min(0)
    rebuilt = [network.decoder[4](middle), middle, outer]
    p = (code @ method.head.weight.detach().T + method.head.bias.detach()).softmax(1)
    q = (p**2 / p.sum(0)).detach()
    q = q / q.sum(1, keepdim=True)
    errors = [(a.detach() - b).square().mean() for a, b in zip(clean, rebuilt, strict=True)]
    loss = -(q * p.log()).sum() / 90 + errors[0] + 0.3 * (errors[1] + errors[2])
    loss.backward()
    for found, own in zip(method.network.parameters(), network.parameters(), strict=True):
        assert torch.allclose(found.grad, own.grad, atol=1e-5, rtol=1e-4)
    found = layered(clean, rebuilt, 0.3).item()
    assert found == pytest.approx((errors[0] + 0.3 * (errors[1] + errors[2])).item(), rel=1e-5)


def test_network_learns_the_first_clusters(autoencoder: AeKmeans, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that knows nothing is taught the agglomerated clusters before any target; without those epochs it isn't."""
    first = linked(autoencoder.embed(strokes()), K)
    monkeypatch.setattr("methods.autoencoder.depict.posterior", lambda means, within: nn.Linear(*means.T.shape))

    def agreement(begin: int) -> float:
        method, _ = train(DEPICT(begin=begin, epochs=0, batch_size=30, lr=0.003), {"autoencoder": autoencoder})
        return adjusted_rand_score(first, method.assign(strokes()))

    assert agreement(15) > 0.9
    assert agreement(0) < 0.7


def test_prior_keeps_all_clusters() -> None:
    """Targets of targets end with every cluster in use; sharpened without the sizes, they end in one."""
    balance = plain = (
        0.3 * torch.randn(300, 4, generator=torch.Generator().manual_seed(0)) + torch.tensor([2.0, 0, 0, 0])
    ).softmax(1)
    for _ in range(12):
        balance, plain = balanced(balance, 2), plain**2 / (plain**2).sum(1, keepdim=True)
    assert len(balance.argmax(1).unique()) == 4
    assert len(plain.argmax(1).unique()) == 1


def test_prior_keeps_clusters_of_a_network(autoencoder: AeKmeans, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begun with a head that favours one cluster, DEPICT ends with all in use; with plain targets it loses some."""

    def biased(means: torch.Tensor, within: torch.Tensor) -> torch.nn.Linear:
        head = posterior(0.1 * means, torch.eye(3) / 3)
        head.bias.data[0] += 3.0
        return head

    monkeypatch.setattr("methods.autoencoder.depict.posterior", biased)
    plan = {"begin": 0, "epochs": 20, "batch_size": 30, "dropouts": (0.1, 0.1), "lr": 0.003}
    kept, _ = train(DEPICT(**plan), {"autoencoder": autoencoder})
    monkeypatch.setattr("methods.autoencoder.depict.balanced", lambda p, power: p**power / (p**power).sum(1, keepdim=True))
    lost, _ = train(DEPICT(**plan), {"autoencoder": autoencoder})
    assert len(kept.assign(strokes()).unique()) == K
    assert len(lost.assign(strokes()).unique()) < K


def test_noise_is_on_the_encoder_that_learns(autoencoder: AeKmeans) -> None:
    """Dropout changes the code that is trained, not the layers that the decoder is to rebuild; without it both agree."""
    x = flat(strokes())
    with torch.no_grad():
        method = DEPICT(dropouts=(0.1, 0.1))
        method.network = autoencoder.network
        clean, noisy, _ = method.passes(x)
        method.dropouts = (0.0, 0.0)
        again, same, _ = method.passes(x)
    assert all(torch.equal(a, b) for a, b in zip(clean, again, strict=True))
    assert torch.allclose(same, method.embed(strokes()), atol=1e-4)
    assert (noisy - same).abs().mean() > 0.05
