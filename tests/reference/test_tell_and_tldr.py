"""TELL and TLDR against their papers' formulas, written out literally, and what their mechanisms promise."""

from __future__ import annotations

import math

import pytest
import torch

from datasets.base import Inputs
from methods.autoencoder.ae_kmeans import AeKmeans
from methods.autoencoder.tell import TELL, ClusterLayer
from methods.classical.tldr import TLDR
from methods.parts.redundancy import barlow, correlation
from methods.run import Run

SMALL = {"widths": (16, 24), "code": 3, "epochs": 10, "least_steps": 60, "batch_size": 32}


def rows(n: int = 90, d: int = 6, spread: float = 4.0) -> torch.Tensor:
    """Three groups of vectors: [n, d] float32."""
    drawn = torch.Generator().manual_seed(1)
    return torch.randn(n, d, generator=drawn) + spread * torch.randn(3, d, generator=drawn).repeat(n // 3, 1)


@pytest.fixture(scope="module")
def autoencoder() -> AeKmeans:
    """A small autoencoder, trained."""
    torch.manual_seed(0)
    method = AeKmeans(**SMALL)
    method.fit(Inputs("vector", rows()), 3, Run(seed=0))
    return method


def fitted(method, autoencoder: AeKmeans | None = None, x: torch.Tensor | None = None):
    """The method after its fit, and its run."""
    run = Run(seed=0, parts={"autoencoder": autoencoder} if autoencoder else {})
    torch.manual_seed(0)
    method.fit(Inputs("vector", rows() if x is None else x), 3, run)
    return method, run


def squared(a, b) -> float:
    """‖a − b‖², one number at a time."""
    return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))


def test_tells_layer_is_a_softmax_of_distances() -> None:
    """softmax(W z + b) is exp(−‖z − μ_j‖²/τ) over its sum, written out, also for codes of any length."""
    layer, z = ClusterLayer(torch.randn(4, 5), 0.7), torch.randn(12, 5)
    kernel = [[math.exp(-squared(a, m) / 0.7) for m in layer.centres.tolist()] for a in z.tolist()]
    written = torch.tensor([[value / sum(row) for value in row] for row in kernel])
    assert torch.allclose(layer(z).softmax(1), written, atol=1e-6, rtol=0)


def test_tells_loss_is_that_of_kmeans() -> None:
    """The loss is the mean over rows of the squared distance to the nearest centre, written out."""
    layer, z = ClusterLayer(torch.randn(4, 5), 0.7), torch.randn(12, 5)
    written = sum(min(squared(a, m) for m in layer.centres.tolist()) for a in z.tolist()) / 12
    assert float(layer.loss(z).detach()) == pytest.approx(written, abs=1e-5)


def test_tells_centres_step_along_normalised_gradients() -> None:
    """A step moves every centre that has members by the rate against its gradient, and back to length 1."""
    layer, z = ClusterLayer(torch.eye(3, 5), 0.7), torch.nn.functional.normalize(torch.randn(40, 5), dim=1)
    before = layer.centres.detach().clone()
    layer.loss(z).backward()
    slope = layer.centres.grad
    moved = before - 0.1 * slope / slope.norm(dim=1, keepdim=True)
    layer.step(0.1)
    assert torch.allclose(layer.centres, moved / moved.norm(dim=1, keepdim=True), atol=1e-6)


def test_tell_moves_centres_and_codes_in_turn(autoencoder: AeKmeans) -> None:
    """In the first epoch the centres move, in the second they stay and the codes feel the clusters."""
    one, _ = fitted(TELL(epochs=1, batch_size=32), autoencoder)
    two, _ = fitted(TELL(epochs=2, batch_size=32), autoencoder)
    off, _ = fitted(TELL(epochs=2, batch_size=32, weight=0.0), autoencoder)
    assert torch.equal(one.layer.centres, two.layer.centres)
    assert not torch.equal(two.embed(rows()), off.embed(rows()))


def test_tell_tightens_clusters(autoencoder: AeKmeans) -> None:
    """With the clustering term codes end nearer to their centres than without it."""
    on, run = fitted(TELL(epochs=30, batch_size=32, weight=1.0), autoencoder)
    _, off = fitted(TELL(epochs=30, batch_size=32, weight=0.0), autoencoder)
    assert run.curve["clustering"][-1] < 0.7 * off.curve["clustering"][-1]
    assert torch.allclose(on.embed(rows()).norm(dim=1), torch.ones(90), atol=1e-5)


def test_barlows_loss_is_that_of_the_paper() -> None:
    """Correlations and loss agree with Barlow Twins' formulas, one number at a time, as far as batch norm's ε lets them."""
    z1, z2 = torch.randn(16, 5), torch.randn(16, 5)
    centred = [(z - z.mean(0)).double() for z in (z1, z2)]
    total = 0.0
    for i in range(5):
        for j in range(5):
            a, b = centred[0][:, i], centred[1][:, j]
            c = float((a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt()))
            assert float(correlation(z1, z2)[i, j]) == pytest.approx(c, abs=1e-4)
            total += (1 - c) ** 2 if i == j else 0.0039 * c**2
    assert float(barlow(correlation(z1, z2), 0.0039)) == pytest.approx(total, abs=1e-3)
    given = torch.randn(5, 5)
    by_hand = sum((1 - given[i, i]) ** 2 if i == j else 0.3 * given[i, j] ** 2 for i in range(5) for j in range(5))
    assert float(barlow(given, 0.3)) == pytest.approx(float(by_hand), abs=1e-5)


def test_tldr_collapses_without_the_redundancy_term() -> None:
    """The embedding spans its dimensions; with λ = 0 most of them say the same."""
    drawn = torch.Generator().manual_seed(2)
    x = torch.randn(256, 12, generator=drawn)

    def rank(redundancy: float) -> float:
        method = TLDR(components=8, width=64, epochs=60, batch_size=128, lr=0.01, warm_up=2, redundancy=redundancy)
        fitted(method, x=x)
        values = torch.linalg.svdvals(method.embed(x) - method.embed(x).mean(0)).square()
        share = values / values.sum()
        return float((-share * share.log()).sum().exp())

    assert rank(0.05) > 1.3 * rank(0.0)


def test_tldr_pairs_rows_with_their_neighbours() -> None:
    """Neighbours come nearer in the embedding than they are in the principal components of the same number."""
    method = TLDR(components=4, width=64, epochs=60, batch_size=64, lr=0.01, warm_up=2)
    x = torch.cat([rows(spread=2.0), 8 * torch.randn(90, 4, generator=torch.Generator().manual_seed(0))], dim=1)
    _, run = fitted(method, x=x)
    assert run.curve["barlow"][-1] < 0.8 * run.curve["barlow"][0]
