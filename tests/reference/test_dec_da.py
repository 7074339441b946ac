"""DEC-DA against its paper's formulas, written out literally, and what augmentation does to its clusters."""

from __future__ import annotations

import copy

import pytest
import torch
from drawn import K, strokes, train

from methods.autoencoder.dec_da import DECDA
from methods.parts.batches import flat
from methods.parts.targets import sharpened, student_t

SMALL = {"widths": (16, 24), "code": 3, "batch_size": 32}
QUICK = {"steps": 12, "interval": 4, "batch_size": 32, "tolerance": 0.0}


def written(z: torch.Tensor, mu: torch.Tensor) -> torch.Tensor:
    """DEC's q of codes z and centres mu, then its p, one number at a time."""
    q = [[1 / (1 + sum((a - b) ** 2 for a, b in zip(zi, mj, strict=True))) for mj in mu.tolist()] for zi in z.tolist()]
    q = [[value / sum(row) for value in row] for row in q]
    sizes = [sum(row[j] for row in q) for j in range(len(mu))]
    p = [[value**2 / sizes[j] for j, value in enumerate(row)] for row in q]
    return torch.tensor([[value / sum(row) for value in row] for row in p])


def test_targets_come_from_clean_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """DEC-DA's target is DEC's p of the images as they are; p of augmented images would be another."""
    targets = []
    monkeypatch.setattr("methods.parts.self_training.sharpened", lambda q: targets.append(sharpened(q)) or targets[-1])
    method, run = train(DECDA(**{**SMALL, **QUICK, "steps": 1, "interval": 1, "lr": 0.0}, epochs=2, precision="fp32"))
    x, encoder, centres = strokes(), method.encoder, method.head.centres.detach()
    with torch.no_grad():
        assert torch.allclose(targets[0], written(encoder(flat(x)), centres), atol=1e-6, rtol=0)
        shaken = written(encoder(method.augmented(x, run.generator)), centres)
    assert (targets[0] - shaken).abs().max() > 0.01


def test_network_sees_augmented_images_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is KL(p of clean ‖ q of augmented): its gradient is that of the formula written out, with the same draws."""
    plan = {**QUICK, "steps": 1, "interval": 1, "batch_size": 90}
    seen = []
    real = DECDA.augmented
    monkeypatch.setattr(DECDA, "augmented", lambda self, x, generator: seen.append((x, real(self, x, generator))) or seen[-1][1])
    method, _ = train(DECDA(**{**SMALL, **plan, "lr": 0.0}, epochs=1, precision="fp32"))
    assert len(seen) == 2  # a batch of pretraining, a step of clustering
    images_, vectors = seen[1]
    network, centres = copy.deepcopy(method.network.encoder), method.head.centres.detach().clone().requires_grad_()
    network.zero_grad()
    q = student_t(network(vectors), centres)
    p = written(network(flat(images_)).detach(), centres.detach())
    (p * (p / q).log()).sum().div(90).backward()
    assert torch.allclose(method.head.centres.grad, centres.grad, atol=1e-6, rtol=0)
    for found, own in zip(method.encoder.parameters(), network.parameters(), strict=True):
        assert torch.allclose(found.grad, own.grad, atol=1e-6, rtol=0)


def test_augmentation_turns_and_shifts_within_its_bounds() -> None:
    """Without rotation and shift an image stays; with a shift of a tenth its middle moves by a tenth of the side at most."""
    x = torch.zeros(200, 1, 20, 20, dtype=torch.uint8)
    x[:, :, 9:11, 9:11] = 255
    drawn = torch.Generator().manual_seed(0)
    assert torch.allclose(DECDA(degrees=0.0, shift=0.0).augmented(x, drawn), flat(x), atol=1e-6, rtol=0)
    moved = DECDA(degrees=0.0).augmented(x, drawn).view(200, 20, 20)
    for axis in (1, 2):
        weight = moved.sum(3 - axis)
        middle = (weight * torch.arange(20)).sum(1) / weight.sum(1) - 9.5
        assert 1.5 < middle.abs().max() <= 2 + 1e-4
    turned = DECDA(shift=0.0).augmented(x, drawn).view(200, 20, 20)
    assert torch.allclose(turned.sum((1, 2)), torch.tensor(4.0), atol=0.1)
    bar = torch.zeros(200, 1, 41, 41, dtype=torch.uint8)
    bar[:, :, 20, :] = 255
    ends = DECDA(shift=0.0).augmented(bar, drawn).view(200, 41, 41)[:, :, 35]
    rise = ((ends * torch.arange(41)).sum(1) / ends.sum(1) - 20) / 15
    assert 0.12 < rise.abs().max() < 0.18  # tan 10° is 0.176


def test_augmentation_makes_clusters_blind_to_shifts() -> None:
    """Shifted images keep their cluster more often where training has seen shifts."""
    plan = {"widths": (64, 64), "code": 3, "batch_size": 32, "epochs": 20, "steps": 60, "interval": 10}

    def agreement(shift: float) -> float:
        method, _ = train(DECDA(**plan, shift=shift, degrees=0.0, tolerance=0.0))
        x = strokes()
        moved = torch.stack([one.roll((down, right), (1, 2)) for one in x for down, right in ((1, 0), (0, 1), (-1, 0), (0, -1))])
        return (method.assign(moved).view(90, 4) == method.assign(x)[:, None]).float().mean().item()

    assert agreement(0.1) > agreement(0.0) + 0.03


def test_code_is_turned_to_round_clusters() -> None:
    """In the new basis the agglomerated clusters have the identity as their common covariance, about the given centres."""
    method, _ = train(DECDA(**{**SMALL, **QUICK, "steps": 1, "lr": 0.0}, epochs=2, precision="fp32"))
    drawn = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % K
    stretch = torch.tensor([[1.0, 0.5, 0.0], [0.0, 0.2, 0.1], [0.0, 0.0, 0.3]])
    codes = torch.randn(300, 3, generator=drawn) @ stretch + 6 * torch.eye(3)[labels]
    layer = method.encoder.code
    layer.weight.data, layer.bias.data = torch.eye(3), torch.zeros(3)  # so that its weights become the change of basis
    centres = method.rounded(codes, K)
    turned = codes @ layer.weight.T + layer.bias
    nearest = (turned[:, None] - centres[None]).square().sum(2).argmin(1)
    apart = turned - torch.stack([turned[nearest == j].mean(0) for j in range(K)])[nearest]
    assert torch.allclose(apart.T @ apart / 300, torch.eye(3), atol=0.15)
    same = (nearest[:, None] == nearest[None]) == (labels[:, None] == labels[None])
    assert same.float().mean() > 0.9
