"""ClAM against its paper's formulas, written out literally, and what its mechanism promises."""

from __future__ import annotations

import torch
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from datasets.base import Inputs
from methods.classical.clam import ClAM, descend, recall
from methods.run import Run


def rows(spread: float = 4.0) -> torch.Tensor:
    """Three groups of vectors: [90, 6] float32."""
    drawn = torch.Generator().manual_seed(1)
    return torch.randn(90, 6, generator=drawn) + spread * torch.randn(3, 6, generator=drawn).repeat(30, 1)


def fitted(method: ClAM, x: torch.Tensor | None = None) -> tuple[ClAM, Run]:
    """The method after its fit, and its run."""
    run = Run(seed=0)
    method.fit(Inputs("vector", rows() if x is None else x), 3, run)
    return method, run


def test_clams_flow_is_half_the_energys_gradient() -> None:
    """A step goes down E(v) = −log(Σ_μ exp(−β‖v − ρ_μ‖²))/β, whose gradient is found by autograd of the formula."""
    memories, v, beta = torch.randn(4, 6).double(), torch.randn(9, 6).double(), 0.8
    moving = v.clone().requires_grad_()
    kernel = [(-beta * (moving - memory).square().sum(1)).exp() for memory in memories]
    (-(sum(kernel)).log() / beta).sum().backward()
    stepped = descend(memories[None], torch.tensor([[[beta]]]).double(), v[None], None, steps=10, rate=0.1)
    single = v - moving.grad / 2 / 10
    one = v + (recall(memories[None], torch.tensor([[[beta]]]).double(), v[None])[0] @ memories - v) / 10
    assert torch.allclose(one, single, atol=1e-6)
    assert not torch.allclose(stepped[0], single)


def test_clam_goes_downhill_where_it_is_free() -> None:
    """The energy falls along the dynamics, and entries that were seen don't move."""
    memories, v, beta = torch.randn(1, 4, 6), torch.randn(1, 9, 6), torch.tensor([[[0.8]]])
    free = (torch.rand(9, 6) < 0.5).float()

    def energy(points: torch.Tensor) -> torch.Tensor:
        return -(-0.8 * torch.cdist(points, memories).square()).logsumexp(2)

    end = descend(memories, beta, v, free, steps=10, rate=0.1)
    assert torch.all(energy(end) < energy(v))
    assert torch.equal(end[0][free == 0], v[0][free == 0])


def test_clam_is_as_tight_as_kmeans() -> None:
    """On overlapping groups ClAM's silhouette is that of k-means or better, less 0.01."""
    x = rows(spread=1.5)
    method, run = fitted(ClAM(epochs=30, batch_size=16, lr=0.05), x=x)
    z = method.embed(x).numpy()
    kmeans = KMeans(3, n_init=10, random_state=0).fit_predict(z)
    assert silhouette_score(z, method.assign(x).numpy()) > silhouette_score(z, kmeans) - 0.01
    assert run.curve["completion"][-1] < run.curve["completion"][0]


def test_clam_needs_its_mask() -> None:
    """With nothing masked there is nothing to complete and prototypes stay where they were drawn."""
    on, _ = fitted(ClAM(epochs=10, batch_size=32, lr=0.05))
    off, run = fitted(ClAM(epochs=10, batch_size=32, lr=0.05, masked=0.0))
    assert max(run.curve["completion"]) == 0
    assert float(off.memories.std()) < 0.15
    assert float(on.memories.norm()) > 2 * float(off.memories.norm())
