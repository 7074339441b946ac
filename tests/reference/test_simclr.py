"""SimCLR against the paper's formulas, and what its parts do for it."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from datasets.base import Inputs
from methods import registry
from methods.bounds.random_encoder import RandomEncoder
from methods.bounds.supervised_ceiling import SupervisedCeiling
from methods.joint_embedding.simclr import SimCLR
from methods.parts.contrast import nt_xent
from methods.parts.encoders import encoder
from methods.parts.schedules import warm_cosine
from methods.run import Run, Supervision


def _rows(b, d, seed=0):
    return torch.randn(b, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _written_out(views, temperature):
    """Algorithm 1 with eq. 1, in loops: views 2k−1 and 2k are a pair, one scalar."""
    n = len(views) // 2

    def s(i, j):
        dot = sum(float(a) * float(b) for a, b in zip(views[i], views[j], strict=True))
        return dot / (math.dist(views[i], [0] * len(views[i])) * math.dist(views[j], [0] * len(views[j])))

    def ell(i, j):
        below = sum(math.exp(s(i, k) / temperature) for k in range(2 * n) if k != i)
        return -math.log(math.exp(s(i, j) / temperature) / below)

    return sum(ell(2 * k, 2 * k + 1) + ell(2 * k + 1, 2 * k) for k in range(n)) / (2 * n)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_nt_xent_is_equation_1(temperature):
    """The loss equals SimCLR's eq. 1, averaged as in its algorithm 1, written out with loops."""
    z1, z2 = 3 * _rows(5, 7), _rows(5, 7, seed=1)
    views = torch.stack([z1, z2], dim=1).flatten(0, 1).tolist()
    assert abs(float(nt_xent(z1, z2, temperature)) - _written_out(views, temperature)) < 1e-6


def test_gradient_pulls_positives_and_pushes_negatives():
    """A descent step brings a view nearer to its partner and farther from the views of other images."""
    z1, z2 = F.normalize(_rows(6, 8), dim=1), F.normalize(_rows(6, 8, seed=1), dim=1)
    anchor = z1[:1].clone().requires_grad_()
    nt_xent(torch.cat([anchor, z1[1:]]), z2, 0.5).backward()
    step = F.normalize(anchor.detach() - 0.1 * anchor.grad, dim=1)
    others = torch.cat([z1[1:], z2[1:]])
    assert (step @ z2[0] - z1[0] @ z2[0]).item() > 0
    assert ((step @ others.T).exp().mean() - (z1[:1] @ others.T).exp().mean()).item() < 0


def test_negatives_forbid_the_trivial_answer():
    """With one image there is nothing to tell apart and the loss is 0; with b a constant embedding costs log(2b − 1)."""
    assert float(nt_xent(_rows(1, 4), _rows(1, 4, seed=1), 0.5)) == pytest.approx(0, abs=1e-7)
    same = torch.ones(8, 4)
    assert float(nt_xent(same, same, 0.5)) == pytest.approx(math.log(15), abs=1e-6)
    spread = torch.eye(8)
    assert float(nt_xent(spread, spread, 0.5)) < math.log(15) - 1


def test_loss_ignores_length():
    """Only directions count: scaling a view changes nothing."""
    z1, z2 = _rows(5, 7), _rows(5, 7, seed=1)
    assert float(nt_xent(z1, z2, 0.5)) == pytest.approx(float(nt_xent(10 * z1, 0.1 * z2, 0.5)), abs=1e-6)


def test_low_temperature_weighs_hard_negatives():
    """The nearest negative's share of the push grows as the temperature falls (section 5.1 of the paper)."""

    def share(temperature):
        z = F.normalize(torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.4, 0.0], [0.0, 0.0, 1.0]]), dim=1)
        others = z.clone().requires_grad_()
        nt_xent(z, others, temperature).backward()
        sizes = others.grad.norm(dim=1)
        return float(sizes[1] / sizes.sum())

    assert share(0.1) > share(1.0)


def test_schedule_warms_up_then_falls_to_zero():
    """The rate climbs linearly over the warm-up, peaks at the given rate, and ends at zero."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
    schedule, rates = warm_cosine(optimizer, 100, 10), []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(0.05)
    assert max(rates) == pytest.approx(0.5)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[55] == pytest.approx(0.25, abs=0.01)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", ["small", "resnet18"])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_encoders_give_their_width(name, shape):
    """Each backbone maps images to vectors of the width it states."""
    network = encoder(shape, name).eval()
    with torch.no_grad():
        assert network(torch.rand(2, *shape)).shape == (2, network.width)


def test_resnet18_has_its_parameters():
    """ResNet-18 with the 3×3 stem has the 11,168,832 parameters of the usual CIFAR variant without its classifier."""
    assert sum(p.numel() for p in encoder((3, 32, 32), "resnet18").parameters()) == 11_168_832


def _toy(n=200, seed=0):
    """Bars that lie or stand, anywhere, in noise: [n, 1, 28, 28] uint8, and which they are."""
    draw = np.random.default_rng(seed)
    images, labels = draw.integers(0, 60, (n, 1, 28, 28), dtype=np.uint8), np.arange(n) % 2
    for image, label in zip(images, labels, strict=True):
        at = draw.integers(6, 20)
        if label:
            image[0, at : at + 3, 4:24] = 220
        else:
            image[0, 4:24, at : at + 3] = 220
    return torch.from_numpy(images), labels


def _fitted(kind, x, seed=0, supervision=None, **changes):
    budget = registry.fields(registry.FOLDER / f"{kind.__module__.removeprefix('methods.').replace('.', '/')}.py")
    settings = {**budget, **kind.card.settings.get("smoke", {}), **changes}
    torch.manual_seed(seed)
    method, run = kind(**settings), Run(seed=seed, supervision=supervision)
    method.fit(Inputs("image", x), 2, run)
    return method, run


@pytest.mark.parametrize("kind", [SimCLR, RandomEncoder])
def test_same_seed_same_bytes(kind):
    """The same seed gives the same embedding to the byte, another seed another one."""
    x, _ = _toy(96)
    first = _fitted(kind, x)[0].embed(x)
    assert torch.equal(first, _fitted(kind, x)[0].embed(x))
    assert not torch.equal(first, _fitted(kind, x, seed=1)[0].embed(x))
    assert first.dtype == torch.float32


def test_restored_simclr_embeds_the_same():
    """A SimCLR built anew from another's state gives its embedding, so that others can start from it."""
    x, _ = _toy(64)
    first, _ = _fitted(SimCLR, x)
    second = SimCLR()
    second.restore(first.state(), (1, 28, 28), None)
    assert torch.equal(first.embed(x), second.embed(x))


def test_training_makes_views_findable():
    """After training the loss has fallen well below that of a constant embedding."""
    x, _ = _toy(256)
    _, run = _fitted(SimCLR, x, epochs=5, batch=64)
    assert run.curve["loss"][-1] < math.log(127) - 0.3
    assert run.curve["loss"][-1] < run.curve["loss"][0] - 0.2


def test_embedding_is_the_backbones():
    """The embedding has the backbone's width, not the projector's."""
    x, _ = _toy(64)
    method, _ = _fitted(SimCLR, x, projection=24)
    assert method.embed(x).shape == (64, method.network.width)


def test_random_encoder_knows_the_scale_of_its_inputs():
    """One pass sets the running statistics: the first normalised layer has mean 0 and variance 1 over the inputs."""
    x, _ = _toy(256)
    method, _ = _fitted(RandomEncoder, x)
    first = nn.Sequential(*list(method.network)[:2])
    with torch.no_grad():
        out = first(2 * (x.float() / 255) - 1)
    assert out.mean(dim=(0, 2, 3)).abs().max() < 0.01
    assert (out.var(dim=(0, 2, 3)) - 1).abs().max() < 0.05


def test_ceiling_learns_from_shown_labels_only():
    """Classes of rows it wasn't told are predicted too, and a hidden label can't matter, since it never gets there."""
    x, labels = _toy(256)
    shown = torch.from_numpy(labels).clone()
    shown[200:] = -1
    method, _ = _fitted(SupervisedCeiling, x, supervision=Supervision(shown), epochs=6, batch=32)
    assert (method.assign(x)[200:].numpy() == labels[200:]).mean() > 0.9
    assert torch.allclose(method.assign_soft(x).sum(1), torch.ones(256), atol=1e-5)
    with pytest.raises(ValueError, match="labels"):
        _fitted(SupervisedCeiling, x)


def test_ceiling_takes_vectors():
    """Vectors go through an MLP, without views."""
    x = torch.randn(128, 5, generator=torch.Generator().manual_seed(0))
    labels = (x[:, 0] > 0).long()
    torch.manual_seed(0)
    method = SupervisedCeiling(epochs=15, batch=32)
    method.fit(Inputs("vector", x), 2, Run(seed=0, supervision=Supervision(labels)))
    assert (method.assign(x) == labels).float().mean() > 0.95
