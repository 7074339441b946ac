"""DCN against its paper's formulas, written out literally, and what its distance does."""

from __future__ import annotations

import copy

import pytest
import torch
from drawn import K, strokes, train

from methods.autoencoder.ae_kmeans import AeKmeans
from methods.autoencoder.dcn import DCN, follow, nearest
from methods.parts.batches import flat

SMALL = {"widths": (16, 24), "code": 3, "batch_size": 32}


@pytest.fixture(scope="module")
def autoencoder() -> AeKmeans:
    """A small autoencoder, trained."""
    return train(AeKmeans(**SMALL, epochs=20, least_steps=60))[0]


def test_assignments_are_dcn_equation_7() -> None:
    """A code belongs to the centre at the smallest squared distance, written out."""
    z, centres = torch.randn(20, 4), torch.randn(5, 4)
    apart = [[sum((a - b) ** 2 for a, b in zip(zi, mj, strict=True)) for mj in centres.tolist()] for zi in z.tolist()]
    assert nearest(z, centres).tolist() == [row.index(min(row)) for row in apart]


def test_centres_follow_dcn_equation_8() -> None:
    """A batch moves the centres as its rows would one after the other, each by one over the rows its centre has seen."""
    z, centres, assigned = torch.randn(50, 4), torch.randn(5, 4), torch.randint(0, 4, (50,))
    counts = torch.tensor([100.0, 3.0, 1.0, 7.0, 9.0])
    m, c = centres.double().clone(), counts.tolist()
    for zi, k in zip(z.double(), assigned.tolist(), strict=True):
        c[k] += 1
        m[k] = m[k] - (m[k] - zi) / c[k]
    follow(centres, counts, z, assigned)
    assert torch.allclose(centres, m.float(), atol=1e-6, rtol=0)
    assert counts.tolist() == c


def test_loss_is_that_of_dcn(autoencoder: AeKmeans) -> None:
    """The gradient of DCN's first step is that of ‖x − x'‖² + λ/2 ‖f(x) − M s‖², mean over rows, written out."""
    plan = {"start": "kmeans", "epochs": 1, "batch_size": 90, "lr": 0.0, "precision": "fp32"}
    method, _ = train(DCN(weight=0.7, **plan), {"autoencoder": autoencoder})
    network, x = copy.deepcopy(autoencoder.network), flat(strokes())
    network.zero_grad()
    start = autoencoder.embed(strokes())
    assigned = method.assign(strokes())
    # counts of 100 hide the one batch of an epoch from the centres' place before it
    joined = torch.nn.functional.one_hot(assigned, K).float()
    before = (method.centres * (100 + joined.sum(0))[:, None] - joined.T @ start) / 100
    code = network.encoder(x)
    rebuilt = network.decoder(code) - x * network.encoder.scale
    loss = rebuilt.square().sum(1).mean() + 0.35 * (code - before[assigned]).square().sum(1).mean()
    loss.backward()
    for found, own in zip(method.network.parameters(), network.parameters(), strict=True):
        assert torch.allclose(found.grad, own.grad, atol=1e-4 * own.grad.abs().max().item(), rtol=0)


def test_dcn_gathers_codes_about_centres(autoencoder: AeKmeans) -> None:
    """Codes lie closer to their centres, by their own spread, than where the distance weighs nothing."""

    def apart(weight: float) -> float:
        method, _ = train(DCN(epochs=15, batch_size=32, weight=weight), {"autoencoder": autoencoder})
        z = method.embed(strokes())
        inner = (z - method.centres[method.assign(strokes())]).square().sum(1).mean()
        return float(inner / z.var(0, correction=0).sum())

    assert apart(5.0) < 0.7 * apart(0.0)
