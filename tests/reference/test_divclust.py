"""DivClust: its loss against the paper's formula, the likeness of clusterings that it bounds, and their consensus."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score
from torch import Tensor, nn
from torch.nn import functional as F

import methods
from methods.clustering import cc, divclust
from methods.parts.clusters import Memory
from methods.parts.consensus import mean_nmi, meta_clusters, voted
from methods.run import Run

K = 3


def soft(h: int, b: int, seed: int = 0) -> Tensor:
    """Random probabilities [h, b, K]."""
    return (2 * torch.randn(h, b, K, generator=torch.Generator().manual_seed(seed))).softmax(2)


def test_too_alike_is_its_formula() -> None:
    """For every ordered pair [mean over clusters of the largest cosine − d]₊, written out; 0 under a bound that is high."""
    p = soft(3, 8)
    wanted = 0.0
    for a in range(3):
        for b in range(3):
            if a != b:
                largest = [max(float(F.cosine_similarity(p[a, :, c], p[b, :, d], dim=0)) for d in range(K)) for c in range(K)]
                wanted += max(sum(largest) / K - 0.6, 0)
    assert wanted > 0
    assert abs(float(divclust.too_alike(p, 0.6)) - wanted) < 1e-5
    assert float(divclust.too_alike(p, 1.0)) == 0


def test_loss_is_ccs_averaged_over_clusterings_and_the_new_part() -> None:
    """Written out with CC's own parts, at a bound that binds."""
    torch.manual_seed(0)
    settings = {**methods.configure("divclust", kind="grey", budget="smoke"), "precision": "fp32", "batch": 8}
    method = methods.get("divclust")(**settings)
    method.build((1, 28, 28), K)
    method.begin(torch.zeros(8, 1, 28, 28), Run(seed=0))
    method.memory.bound.fill_(0.5)
    views = [torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    found = float(method.loss(views, torch.arange(8)).detach())
    with torch.no_grad():
        h = method.network(torch.cat(views))
        p = torch.stack([head(h).softmax(1) for head in method.clusterers.each])
        rows = cc.nt_xent(*method.projector(h).chunk(2), 0.5)
        columns = sum(float(cc.of_clusters(*own.chunk(2), 1.0)) for own in p) / 3
    assert abs(found - float(rows) - columns - float(divclust.too_alike(p, 0.5))) < 1e-4


def test_mean_nmi_is_that_of_scikit_learn() -> None:
    """The mean over pairs; clusterings that are the same up to names have 1."""
    labels = soft(4, 50).argmax(2)
    pairs = [(a, b) for a in range(4) for b in range(a)]
    wanted = sum(normalized_mutual_info_score(labels[a], labels[b]) for a, b in pairs) / len(pairs)
    assert abs(float(mean_nmi(labels, K)) - wanted) < 1e-6
    assert abs(float(mean_nmi(torch.stack([labels[0], (labels[0] + 1) % K]), K)) - 1) < 1e-6


@pytest.mark.parametrize("target", [0.6, 1.0])
def test_heads_stay_under_their_target(target: float) -> None:
    """Heads on one input become nearly the same; with a target of 0.6 their likeness ends under it, and they still cluster."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    kind = torch.arange(240) % K
    # heads standardise, so the three directions without signal weigh as much as the others: noise must be small
    z = F.one_hot(kind, 6) + 0.15 * torch.randn(240, 6, generator=generator)
    method = methods.get("divclust")(precision="fp32", batch=120, count=3, target=target, every=1, rate=0.95, remembered=2)
    method._k, method.network = K, nn.Identity()
    method.heads(6)
    labels = torch.randint(K, (3, 240), generator=generator)
    method.memory = Memory(labels=labels, bound=torch.ones(()), steps=torch.zeros((), dtype=torch.long))
    stepper = torch.optim.Adam([*method.projector.parameters(), *method.clusterers.parameters()], lr=0.02)
    measured = []
    for _ in range(120):
        rows = torch.randperm(240, generator=generator)[:120]
        views = [z[rows] + 0.1 * torch.randn(120, 6, generator=generator) for _ in range(2)]
        stepper.zero_grad()
        method.loss(views, rows).backward()
        stepper.step()
        measured.append(float(mean_nmi(method.memory.labels, K)))
    assert all(len(head(z).argmax(1).unique()) == K for head in method.clusterers.each)
    assert max(measured[-40:]) <= 0.6 if target < 1 else min(measured[-40:]) > 0.8


def test_consensus_joins_clusters_of_the_same_rows() -> None:
    """Three clusterings under other names, each with rows astray: the vote mends them; shares are 1/m in m clusters."""
    truth = torch.arange(90) % K
    names = torch.tensor([[0, 1, 2], [1, 2, 0], [2, 0, 1]])
    labels = torch.stack([order[truth] for order in names])
    for h in range(3):
        labels[h, 10 * h : 10 * h + 10] = torch.randint(K, (10,), generator=torch.Generator().manual_seed(h))
    shares = meta_clusters(labels, K, Run(seed=0))
    assert torch.allclose(shares.sum(0), torch.ones(K))
    assert torch.allclose(shares.unique(), torch.tensor([0.0, 1 / 3]))
    p = F.one_hot(labels, K).float()
    found = voted(p, shares)
    assert torch.allclose(found.sum(1), torch.ones(90))
    table = F.one_hot(truth, K).T @ F.one_hot(found.argmax(1), K)
    assert table.max(0).values.sum() == 90
    assert math.isclose(float(found[40].max()), 1.0)
