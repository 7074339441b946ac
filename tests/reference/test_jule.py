"""JULE against its paper's formulas, written out literally, and what its merges and its loss promise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array

from datasets.base import Inputs
from methods.joint import jule
from methods.parts.agglomeration import Agglomeration, affinities, first_clusters, neighbours
from methods.run import Run


def groups(n: int, k: int, d: int, *, seed: int = 1, apart: float = 6.0) -> tuple[torch.Tensor, torch.Tensor]:
    """k groups of rows: [n, d] float32, and their labels [n]."""
    drawn = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % k
    return apart * torch.randn(k, d, generator=drawn)[labels] + torch.randn(n, d, generator=drawn), labels


def same_clusters(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two labellings are one partition."""
    pairs = {*zip(a.tolist(), b.tolist(), strict=True)}
    return len(pairs) == len(set(a.tolist())) == len(set(b.tolist()))


def graph(n: int = 60, k: int = 9, *, seed: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features [n, 4], their affinities [n, n] dense, and labels [n] of k clusters."""
    x, labels = groups(n, k, 4, seed=seed, apart=1.0)
    return x.numpy(), affinities(*neighbours(x.numpy(), 8), 1.0).toarray(), labels.numpy()


def literal_affinity(w: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """A(C_a, C_b) of row indices a and b: 1ᵀ W_ab W_ba 1 / |a|² + 1ᵀ W_ba W_ab 1 / |b|²."""
    there, back = w[np.ix_(a, b)], w[np.ix_(b, a)]
    return float((there @ back).sum() / len(a) ** 2 + (back @ there).sum() / len(b) ** 2)


def agglomeration(x: np.ndarray, w: np.ndarray, labels: np.ndarray, local: int) -> Agglomeration:
    """Clusters about to merge."""
    centres = np.stack([x[labels == c].mean(0) for c in range(labels.max() + 1)])
    return Agglomeration(csr_array(w), labels, centres, local=local)


def test_affinities_of_rows_are_those_of_jule() -> None:
    """W_ij = exp(−‖x_i − x_j‖² / σ²) for the neighbours, σ² being a times their mean squared distance, written out."""
    x = np.random.default_rng(0).normal(size=(15, 3))
    far = np.square(x[:, None] - x[None]).sum(2)
    near = [sorted((j for j in range(15) if j != i), key=lambda j, i=i: far[i, j])[:4] for i in range(15)]
    sigma = 0.7 * sum(far[i, j] for i in range(15) for j in near[i]) / (15 * 4)
    by_hand = [[math.exp(-far[i, j] / sigma) if j in near[i] else 0.0 for j in range(15)] for i in range(15)]
    assert np.allclose(affinities(*neighbours(x, 4), 0.7).toarray(), by_hand, atol=1e-6)


def test_affinities_of_clusters_are_exact_after_merges() -> None:
    """A(C_i, C_j) agrees with its definition for every pair, at the start and after merges."""
    x, w, labels = graph()
    merging = agglomeration(x, w, labels, local=1)
    for _ in range(6):
        left = np.flatnonzero(merging.alive)
        for i, j in itertools.combinations(left, 2):
            found = merging.affinity[i, j]
            by_hand = literal_affinity(w, np.flatnonzero(merging.labels == i), np.flatnonzero(merging.labels == j))
            assert found == pytest.approx(by_hand, abs=1e-6)
        merging.merge(*merging.best())


def test_the_highest_affinity_merges_first() -> None:
    """Every merge takes the pair with the highest affinity of all pairs."""
    x, w, labels = graph()
    merging = agglomeration(x, w, labels, local=1)
    for _ in range(7):
        left = np.flatnonzero(merging.alive)
        rows = {c: np.flatnonzero(merging.labels == c) for c in left}
        best = max(itertools.combinations(left, 2), key=lambda pair: literal_affinity(w, rows[pair[0]], rows[pair[1]]))
        assert set(merging.best()) == set(best)
        merging.merge(*merging.best())


def test_further_clusters_count_in_the_choice() -> None:
    """With many clusters the score is A(C, N[1]) + λ/(K_c − 1) Σ_k (A(C, N[1]) − A(C, N[k])), kept up to date by merges."""
    x, w, labels = graph(n=420, k=140)
    merging = agglomeration(x, w, labels, local=4)
    for _ in range(20):
        merging.merge(*merging.best())
    for c in np.flatnonzero(merging.alive):
        ranked = np.sort(merging.affinity[c])[::-1][:4]
        assert merging.scores[c] == pytest.approx(ranked[0] + (ranked[0] - ranked[1:]).sum() / 3, abs=1e-9)


def test_agglomeration_finds_groups() -> None:
    """From chains of neighbours down to k clusters, separated groups come out whole."""
    x, labels = groups(200, 4, 5)
    first = first_clusters(neighbours(x.numpy(), 1)[1])
    assert 20 < first.max() < 100
    merging = agglomeration(x.numpy(), affinities(*neighbours(x.numpy(), 10), 1.0).toarray(), first, local=5)
    merging.merge_to(4)
    assert same_clusters(torch.from_numpy(merging.compact()), labels)


def test_triplet_loss_is_that_of_jule() -> None:
    """Mean of max(0, γ‖x_i − x_j‖² − ‖x_i − x_k‖² + margin) over all pairs of a cluster and rows of others, written out."""
    z = torch.nn.functional.normalize(torch.randn(12, 4))
    labels = torch.tensor([0, 0, 0, 1, 1, 2, 3, 3, 4, 5, 6, 7])
    triplets = jule.draw_triplets(labels, 99, torch.Generator().manual_seed(0))
    assert triplets is not None
    anchors, positives, negatives = triplets
    pairs = [(i, j) for i, j in itertools.combinations(range(12), 2) if labels[i] == labels[j]]
    assert list(zip(anchors.tolist(), positives.tolist(), strict=True)) == pairs
    assert not (labels[negatives] == labels[anchors][:, None]).any()
    assert all(len(set(row)) == 9 for row in negatives.tolist())
    terms = [
        max(0, 1.5 * float((z[i] - z[j]).square().sum()) - float((z[i] - z[m]).square().sum()) + 0.2)
        for (i, j), row in zip(pairs, negatives.tolist(), strict=True)
        for m in row
    ]
    found = jule.triplet_loss(z, *triplets, weight=1.5, margin=0.2)
    assert float(found) == pytest.approx(sum(terms) / len(terms), abs=1e-5)


def test_batches_hold_pairs_of_small_clusters() -> None:
    """A pass visits every row once, and rows of one small cluster come together."""
    labels = torch.arange(200) % 50
    order = list(jule.clustered_batches(labels, 40, 4, torch.Generator().manual_seed(0)))
    assert torch.cat(order).sort().values.tolist() == list(range(200))
    assert all(len(labels[rows].unique()) == 10 for rows in order)


def bars(n: int = 160) -> tuple[Inputs, torch.Tensor]:
    """Grey images of four kinds, a bright corner each."""
    drawn = torch.Generator().manual_seed(0)
    labels = torch.arange(n) % 4
    x = torch.randint(0, 90, (n, 1, 8, 8), generator=drawn)
    for i, label in enumerate(labels.tolist()):
        x[i, 0, 4 * (label // 2) : 4 * (label // 2) + 4, 4 * (label % 2) : 4 * (label % 2) + 4] += 120
    return Inputs("image", x.to(torch.uint8)), labels


def tightness(epochs: int) -> tuple[float, torch.Tensor]:
    """Mean squared distance within JULE's clusters over that between them, and its labels."""
    inputs, _ = bars()
    method = jule.JULE(epochs=epochs, width=8, features=16, batch_size=40, neighbours=8, lr=0.05, unroll=0.6)
    torch.manual_seed(0)
    shown: list[int] = []
    method.fit(inputs, 4, Run(seed=0, on_snapshot=lambda: shown.append(int(method.labels.max()))))
    assert not [most for most in shown if most >= 4]  # the harness refuses more clusters than were told
    z, labels = method.embed(inputs.train), method.labels
    assert labels is not None
    square, same = torch.cdist(z, z).square(), labels[:, None] == labels
    return float(square[same].mean() / square[~same].mean()), labels


def test_triplet_loss_tightens_merged_clusters() -> None:
    """After training, a cluster's rows are closer to each other, compared with other clusters' rows, than without it."""
    trained, labels = tightness(3)
    untrained, _ = tightness(0)
    assert same_clusters(labels, bars()[1])
    assert trained < 0.5 * untrained


def test_crumbs_join_the_nearest_cluster() -> None:
    """A small cluster that the graph ties to nothing joins the one with the nearest centre before all other merges."""
    x, w, labels = graph()
    w[labels == 3], w[:, labels == 3] = 0, 0
    merging = agglomeration(x, w, labels, local=1)
    assert 3 not in merging.best()
    merging.least = 20
    near = min((c for c in range(9) if c != 3), key=lambda c: np.square(merging.centres[c] - merging.centres[3]).sum())
    assert set(merging.best()) == {3, near}
