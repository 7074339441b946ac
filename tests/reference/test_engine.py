"""The loop of the methods on views: diagnostics by their formulas, optimisers, accumulated gradients, the flag of a collapse."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import methods
from datasets.base import Inputs
from methods.parts.diagnostics import effective_rank, health
from methods.parts.engine import FromViews
from methods.parts.optimizers import optimizer
from methods.parts.views import views
from methods.run import Run


def rows(n: int, d: int, seed: int = 0) -> Tensor:
    """Random rows [n, d]."""
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def blots(n: int = 256) -> Inputs:
    """Small colour pictures of four blots each."""
    coarse = torch.rand(n, 3, 2, 2, generator=torch.Generator().manual_seed(5))
    return Inputs("image", (255 * F.interpolate(coarse, size=(8, 8), mode="bilinear")).to(torch.uint8))


def test_health_by_its_formulas() -> None:
    """Roy & Vetterli's rank, Wang & Isola's alignment and uniformity, SimSiam's deviation, written out row by row."""
    z, other = rows(12, 5).double(), rows(12, 5, 1).double()
    found = health(z, other)
    unit, views = z / z.norm(dim=1, keepdim=True), other / other.norm(dim=1, keepdim=True)
    values = torch.linalg.svd(z - z.mean(0))[1]
    entropy = -sum(float(v / values.sum()) * math.log(v / values.sum()) for v in values)
    pairs = [(i, j) for i in range(12) for j in range(i)]
    near = [math.exp(-2 * float((unit[i] - unit[j]).square().sum())) for i, j in pairs]
    expected = {
        "effective_rank": math.exp(entropy),
        "feature_std": math.sqrt(5) * sum(float(unit[:, j].std(correction=0)) for j in range(5)) / 5,
        "uniformity": math.log(sum(near) / len(pairs)),
        "alignment": sum(float((unit[i] - views[i]).square().sum()) for i in range(12)) / 12,
    }
    assert found == pytest.approx(expected, rel=6e-4)  # four digits
    assert "alignment" not in health(z)


def test_health_of_points_that_are_one() -> None:
    """No variance, no rank, and nothing that isn't a number."""
    found = health(torch.ones(8, 4), torch.ones(8, 4))
    assert found == {"effective_rank": 0.0, "feature_std": 0.0, "uniformity": 0.0, "alignment": 0.0}
    line = torch.arange(8.0)[:, None] * torch.ones(4)
    assert float(effective_rank(line)) == pytest.approx(1, abs=1e-3)


def test_lars_by_its_algorithm() -> None:
    """Algorithm 1 of its paper for a matrix, plain momentum for a bias; a weight of zeros still moves."""
    weight, bias, nothing = (nn.Parameter(value) for value in (rows(3, 4), rows(1, 4)[0], torch.zeros(2, 2)))
    stepper = optimizer("lars", [weight, bias, nothing], lr=0.5, weight_decay=0.1)
    w, b, n = (value.detach().clone() for value in (weight, bias, nothing))
    velocity, slower = torch.zeros(3, 4), torch.zeros(4)
    for step in range(3):
        weight.grad, bias.grad, nothing.grad = rows(3, 4, step + 7), rows(1, 4, step + 9)[0], torch.ones(2, 2)
        stepper.step()
        rate = 0.5 * 1e-3 * w.norm() / (weight.grad.norm() + 0.1 * w.norm())
        velocity = 0.9 * velocity + rate * (weight.grad + 0.1 * w)
        slower = 0.9 * slower + 0.5 * bias.grad
        w, b = w - velocity, b - slower
    torch.testing.assert_close(weight.detach(), w)
    torch.testing.assert_close(bias.detach(), b)
    assert (nothing.detach() < n).all()


def test_an_unknown_optimiser() -> None:
    """The names that are allowed are said."""
    with pytest.raises(ValueError, match="optimizer is 'adam'; allowed: adamw, sgd, lars"):
        optimizer("adam", [nn.Parameter(torch.zeros(1))], 0.1, 0.0)


@dataclass
class Plain(FromViews):
    """A loss that is a mean over images, through a network without batch statistics."""

    def build(self, shape: tuple[int, ...], k: int | None) -> None:
        """A linear network."""
        self.network = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
        self._trained = [self.network]

    def draw(self, images: Tensor, run: Run) -> list[Tensor]:
        """The images themselves."""
        return [images]

    def order(self, n: int, run: Run):
        """Always the same way round."""
        return iter(torch.arange(n).split(self.batch))

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """The outputs' squares."""
        return self.network(views[0]).square().mean()


def weights(**settings: object) -> Tensor:
    """What `Plain` ends with."""
    torch.manual_seed(0)
    method = Plain(epochs=3, warm_up=0, optimizer="sgd", lr=0.1, precision="fp32", **settings)
    method.fit(blots(), None, Run(seed=0))
    return method.network[1].weight.detach()


def test_gradients_add_up_over_batches() -> None:
    """Four batches of 32 taken together are one of 128; by themselves they are not; an epoch of fewer is one step."""
    torch.testing.assert_close(weights(batch=32, accumulate=4), weights(batch=128))
    assert (weights(batch=32) - weights(batch=128)).abs().max() > 1e-3
    torch.testing.assert_close(weights(batch=64, accumulate=9), weights(batch=256))


@pytest.mark.parametrize("bare", [True, False])
def test_a_collapse_is_flagged(bare: bool) -> None:
    """BYOL without its predictor falls together, and says so without a label; whole it doesn't."""
    given = {"epochs": 20, "batch": 64, "warm_up": 1, "precision": "fp32", "lr": 0.01, "tau": 0.9}
    method = methods.get("byol")(**{**methods.configure("byol", kind="colour", budget="smoke"), **given})
    heads = method.heads

    def without(width: int) -> list[nn.Module]:
        made = heads(width)
        method.predictor = nn.Identity()
        return made[:1]

    method.heads = without if bare else heads
    torch.manual_seed(0)
    run = Run(seed=0)
    method.fit(blots(128), None, run)
    assert run.describe()["flags"] == ["collapsed_features"] * bare
    assert (run.curve["projected_std"][-1] < 0.2) == bare
    assert {len(curve) for curve in run.curve.values()} == {20}
    assert set(run.curve) == {"loss", "effective_rank", "feature_std", "uniformity", "alignment", "projected_std"}


def test_flags_are_words_we_know() -> None:
    """Nothing else gets into a record."""
    with pytest.raises(ValueError, match="no flag 'great'; allowed: collapsed_features"):
        Run(seed=0).flag("great")


def test_views_of_several_sizes_take_a_pass_each() -> None:
    """One pass for each size, in the order they came; the same numbers as view by view where no batch statistics are taken."""
    method = methods.get("simclr")(precision="fp32")
    method.build((1, 28, 28), None)
    method.network.eval()
    sizes, generator = (28, 28, 16, 16, 16), torch.Generator().manual_seed(2)
    seen = [torch.rand(4, 1, side, side, generator=generator) for side in sizes]
    passed: list[int] = []
    method.network.register_forward_hook(lambda module, given, made: passed.append(len(given[0])))
    made = method.passes(method.network, seen)
    assert passed == [8, 12]
    for view, one in zip(seen, made, strict=True):
        torch.testing.assert_close(one, method.network(view))


def test_the_smallest_crop_is_a_setting() -> None:
    """The family's preset by default, to the letter; with `least_crop` the same but for the crops."""
    assert methods.get("byol")().look(1) == views(1)
    assert methods.get("byol")(least_crop=0.2).look(3) == replace(views(3), scale=(0.2, 1.0))
