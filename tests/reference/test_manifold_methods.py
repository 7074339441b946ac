"""UMAP, N2D, Leiden, HDBSCAN, k-medoids and ClusterFuG against their papers' formulas, and what their mechanisms promise."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import adjusted_rand_score, pairwise_distances
from sklearn.neighbors import kneighbors_graph

from datasets.base import Inputs
from methods.autoencoder.n2d import N2D
from methods.classical.clusterfug import ClusterFuG, Contraction
from methods.classical.gmm import GMM
from methods.classical.hdbscan import Hdbscan
from methods.classical.kmedoids import KMedoids
from methods.classical.leiden import Leiden
from methods.classical.umap_gmm import UmapGMM
from methods.parts import manifold
from methods.parts.kmeans import kmeans
from methods.run import Run


def drawn(seed: int = 0) -> torch.Generator:
    """A generator of a test's own."""
    return torch.Generator().manual_seed(seed)


def groups(n: int = 90, d: int = 5, *, apart: float = 8.0) -> tuple[torch.Tensor, np.ndarray]:
    """Three groups of vectors [n, d], and which is whose."""
    centres = apart * torch.eye(3, d)
    own = torch.arange(n) % 3
    return centres[own] + torch.randn(n, d, generator=drawn(1)), own.numpy()


def moons(n: int = 200) -> tuple[torch.Tensor, np.ndarray]:
    """Two half circles [n, 2] that reach into each other, and which row lies on which."""
    own = torch.arange(n) % 2
    angle = math.pi * (torch.rand(n, generator=drawn(2)) + own)
    x = torch.stack([angle.cos() + own, angle.sin() + 0.5 * own], dim=1)
    return x + 0.05 * torch.randn(n, 2, generator=drawn(3)), own.numpy()


def fitted(method, x: torch.Tensor, k: int | None = None, *, seed: int = 0, **parts):
    """The method after its fit on vectors, and its run."""
    run = Run(seed=seed, parts=parts)
    method.fit(Inputs("vector", x), k, run)
    return method, run


def test_memberships_are_those_of_umap() -> None:
    """Weights agree with exp(-(d - rho) / sigma), sigma solved row by row for a sum of log2(k), to 1e-6."""
    _, distances = manifold.nearest(torch.randn(40, 4, generator=drawn()), 9)
    found = manifold.memberships(distances)
    for row, weights in zip(distances.tolist(), found.tolist(), strict=True):
        sigma = brentq(lambda s, row=row: sum(math.exp(-(d - row[0]) / s) for d in row) - math.log2(10), 1e-6, 1e6, xtol=1e-12)
        assert weights == pytest.approx([math.exp(-(d - row[0]) / sigma) for d in row], abs=1e-6)


def test_graph_is_the_fuzzy_union() -> None:
    """The graph agrees with a + b - ab of the two directed weights, written out to 1e-6."""
    rows, distances = manifold.nearest(torch.randn(30, 4, generator=drawn()), 5)
    directed = np.zeros((30, 30))
    for i, (near, weights) in enumerate(zip(rows.tolist(), manifold.memberships(distances).tolist(), strict=True)):
        directed[i, near] = weights
    wanted = [[directed[i, j] + directed[j, i] - directed[i, j] * directed[j, i] for j in range(30)] for i in range(30)]
    assert np.allclose(manifold.fuzzy_graph(rows, distances).toarray(), wanted, atol=1e-6, rtol=0)


def test_duplicates_have_finite_memberships() -> None:
    """Rows that are all alike, and rows with a few doubles, get weights in 0..1."""
    for x in (torch.zeros(20, 3), torch.randn(10, 3, generator=drawn()).repeat(3, 1)):
        weights = manifold.memberships(manifold.nearest(x, 6)[1])
        assert weights.isfinite().all()
        assert weights.min() >= 0
        assert weights.max() <= 1


def test_curve_has_the_known_constants() -> None:
    """For a least distance of 0.1 a is 1.577 and b is 0.895, as the authors print them."""
    assert manifold.curve(0.1) == pytest.approx((1.5769, 0.8951), abs=1e-3)


def test_moves_are_gradients_of_the_cross_entropy() -> None:
    """Attraction and repulsion agree with autograd's gradients of -log(phi) and -log(1 - phi) to 1e-6."""
    a, b = manifold.curve(0.0)
    y = torch.randn(50, 2, generator=drawn(), dtype=torch.float64).requires_grad_()
    other = torch.randn(50, 2, generator=drawn(5), dtype=torch.float64)
    square = (y - other).square().sum(1, keepdim=True)
    phi = 1 / (1 + a * square**b)
    (together,) = torch.autograd.grad(-phi.log().sum(), y, retain_graph=True)
    (away,) = torch.autograd.grad(-(1 - phi).log().sum(), y)
    assert torch.allclose(manifold.attraction(square, a, b) * (y - other), together, atol=1e-6, rtol=1e-6)
    # the paper adds 0.001 to the square in the denominator
    assert torch.allclose(-manifold.repulsion(square, a, b) * (y - other), away * square / (square + 1e-3), atol=1e-6, rtol=1e-6)


def test_an_epoch_moves_both_ends_of_an_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    """One epoch on two rows is two steps of attraction, one for each direction of their edge, written out to 1e-6."""
    monkeypatch.setattr(manifold, "NEGATIVES", 0)
    graph = csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))
    y = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    found = manifold.lay_out(y.clone(), graph, (2.0, 0.8), 1, Run(seed=0))
    gap = 5.0
    for _ in range(2):
        gap -= 2 * gap * 2 * 2.0 * 0.8 * gap ** (2 * (0.8 - 1)) / (1 + 2.0 * gap ** (2 * 0.8))
    assert float((found[1] - found[0]).norm()) == pytest.approx(abs(gap), abs=1e-5)
    assert torch.allclose(found.mean(0), y.mean(0), atol=1e-6)


def test_joined_rows_lie_close() -> None:
    """After the layout the graph's edges are far shorter than pairs of random rows; before, from random places, they aren't."""
    x, _ = groups()
    graph = manifold.fuzzy_graph(*manifold.nearest(x, 9))
    head, tail = (torch.from_numpy(ends).long() for ends in graph.tocoo().coords)
    start = 10 * torch.randn(90, 2, generator=drawn())
    for y, near in ((start, False), (manifold.lay_out(start.clone(), graph, manifold.curve(0.0), 100, Run(seed=0)), True)):
        edges, pairs = (y[head] - y[tail]).norm(dim=1).mean(), torch.pdist(y).mean()
        assert bool(edges < 0.3 * pairs) is near


def test_mixture_is_a_fixed_point_of_em() -> None:
    """The M step and the E step, written out, give the responsibilities back to 1e-6."""
    x, _ = groups(apart=6.0)
    r = manifold.gaussians(x, 3, Run(seed=0), ridge=1e-6, starts=3).double().numpy()
    points = x.double().numpy()
    dense = np.zeros_like(r)
    for j in range(3):
        size = r[:, j].sum()
        mean = (r[:, j, None] * points).sum(0) / size
        covariance = sum(w * np.outer(p - mean, p - mean) for w, p in zip(r[:, j], points, strict=True)) / size
        covariance += 1e-6 * np.eye(5)
        apart = points - mean
        distance = np.einsum("ni,ij,nj->n", apart, np.linalg.inv(covariance), apart)
        dense[:, j] = size / 90 * np.exp(-distance / 2) / np.sqrt(np.linalg.det(2 * np.pi * covariance))
    assert np.allclose(dense / dense.sum(1, keepdims=True), r, atol=1e-6, rtol=0)


def test_umap_gmm_tells_moons_apart() -> None:
    """UMAP + GMM finds two half circles that reach into each other; neither k-means nor a mixture on the inputs does."""
    x, own = moons()
    found, _ = fitted(UmapGMM(neighbours=40, epochs=60), x, 2)
    plain, _ = fitted(GMM(), x, 2)
    assert adjusted_rand_score(own, found.labels) == 1
    assert adjusted_rand_score(own, plain.assign(x)) < 0.9
    assert adjusted_rand_score(own, kmeans(x, 2, Run(seed=0), starts=5)[1]) < 0.9


class Fixed:
    """Stands for an autoencoder: its codes are a function of x."""

    def __init__(self, code) -> None:
        self.embed = code


def test_n2d_is_umap_gmm_of_the_codes() -> None:
    """N2D on x equals UMAP + GMM fitted on the codes of x, bit for bit."""
    x, _ = groups()
    code = Fixed(lambda x: x[:, :3] * 2)
    found, _ = fitted(N2D(epochs=20), x, 3, autoencoder=code)
    plain, _ = fitted(UmapGMM(epochs=20), code.embed(x), 3)
    assert torch.equal(found.embedding, plain.embedding)
    assert torch.equal(found.labels, plain.labels)


def test_n2d_stands_on_its_autoencoder() -> None:
    """Codes that keep the groups give the groups; codes that lose them don't."""
    x, own = groups()
    good, _ = fitted(N2D(epochs=30), x, 3, autoencoder=Fixed(lambda x: x))
    bad, _ = fitted(N2D(epochs=30), x, 3, autoencoder=Fixed(lambda x: x[:, 3:]))
    assert adjusted_rand_score(own, good.labels) == 1
    assert adjusted_rand_score(own, bad.labels) < 0.2


def joined(x: torch.Tensor, count: int) -> np.ndarray:
    """The adjacency [n, n] of rows of which either is among the other's `count` nearest."""
    graph = kneighbors_graph(x.numpy(), count, include_self=False).toarray()
    return np.maximum(graph, graph.T)


def literal_modularity(a: np.ndarray, labels: np.ndarray, gamma: float) -> float:
    """Σ_ij (A_ij − γ k_i k_j / 2m) [c_i = c_j] / 2m, one pair at a time."""
    degree, twice = a.sum(1), a.sum()
    pairs = [(i, j) for i in range(len(a)) for j in range(len(a)) if labels[i] == labels[j]]
    return sum(a[i, j] - gamma * degree[i] * degree[j] / twice for i, j in pairs) / twice


@pytest.mark.parametrize("gamma", [1.0, 2.0])
def test_leiden_scores_modularity(gamma: float) -> None:
    """The modularity Leiden notes is that of its labels, written out to 1e-6, and igraph's."""
    igraph = pytest.importorskip("igraph")
    pytest.importorskip("leidenalg")
    x = torch.randn(80, 3, generator=drawn())
    method, run = fitted(Leiden(neighbours=6, resolution=gamma), x)
    a = joined(x, 6)
    written = literal_modularity(a, method.labels.numpy(), gamma)
    assert run.curve["modularity"][-1] == pytest.approx(written, abs=1e-6)
    graph = igraph.Graph.Adjacency(a.tolist(), mode="undirected")
    assert graph.modularity(method.labels.tolist(), resolution=gamma) == pytest.approx(written, abs=1e-6)


def test_leiden_raises_modularity_by_connected_communities() -> None:
    """Modularity never falls, no row gains by moving, and every community is connected; other γ find other numbers of them."""
    pytest.importorskip("leidenalg")
    x = torch.randn(60, 3, generator=drawn())
    method, run = fitted(Leiden(neighbours=6), x)
    curve, labels, a = run.curve["modularity"], method.labels.numpy(), joined(x, 6)
    assert all(later >= earlier - 1e-12 for earlier, later in pairwise(curve))
    for i in range(60):
        for other in np.unique(labels[a[i] > 0]):
            moved = labels.copy()
            moved[i] = other
            assert literal_modularity(a, moved, 1.0) <= curve[-1] + 1e-9
    for one in np.unique(labels):
        members = labels == one
        assert connected_components(a[np.ix_(members, members)])[0] == 1
    finer, _ = fitted(Leiden(neighbours=6, resolution=4.0), x)
    assert len(finer.labels.unique()) > len(np.unique(labels)) > 1


def test_leiden_finds_the_number_of_groups() -> None:
    """On three groups that no edge joins, a low γ finds three communities, though it isn't told k."""
    pytest.importorskip("leidenalg")
    x, own = groups(apart=20.0)
    method, _ = fitted(Leiden(neighbours=8, resolution=0.1), x)
    assert adjusted_rand_score(own, method.labels) == 1


def test_hdbscan_cuts_mutual_reachability() -> None:
    """Its clusters are the components of the mutual reachability graph, written out, at a level between groups and noise."""
    x, own = groups(apart=20.0)
    x = torch.cat([x, torch.tensor([[100.0] * 5, [-100.0] * 5])])
    method, _ = fitted(Hdbscan(space="pca", components=5, samples=4, share=0.1), x)
    d = pairwise_distances(x.numpy())
    core = np.sort(d, axis=1)[:, 3]  # the row itself is the first of `samples`
    reach = np.maximum(np.maximum(core[:, None], core[None]), d)
    count, parts = connected_components(reach <= 8.0)
    assert count == 5
    assert adjusted_rand_score(parts[:90], method.labels[:90]) == 1
    assert adjusted_rand_score(own, method.labels[:90]) == 1
    assert method.labels[90:].tolist() == [-1, -1]


def test_hdbscan_takes_small_groups_for_noise() -> None:
    """A group below the smallest share is noise; with a lower share it is a cluster."""
    x, _ = groups(apart=20.0)
    x = torch.cat([x, 60 + torch.randn(8, 5, generator=drawn())])
    for share, noise in ((0.2, True), (0.05, False)):
        method, _ = fitted(Hdbscan(space="pca", components=5, samples=4, share=share), x)
        assert bool((method.labels[90:] == -1).all()) is noise


def test_hdbscan_stands_on_its_space() -> None:
    """The embedding is the space asked for, and an unknown one is refused."""
    x, _ = groups()
    laid, _ = fitted(Hdbscan(epochs=10), x)
    assert laid.embedding.shape == (90, 2)
    assert torch.equal(laid.embedding, manifold.umap(x, Run(seed=0), components=2, neighbours=30, min_dist=0.0, epochs=10))
    with pytest.raises(ValueError, match="allowed: umap, pca"):
        fitted(Hdbscan(space="tsne"), x)


def literal_loss(d: np.ndarray, medoids: tuple[int, ...]) -> float:
    """Σ_i min_m d(x_i, m), over n."""
    return sum(min(d[i, m] for m in medoids) for i in range(len(d))) / len(d)


def test_kmedoids_loss_is_the_least_of_all() -> None:
    """On 14 rows the loss equals the least over all choices of three medoids, written out to 1e-6."""
    pytest.importorskip("kmedoids")
    x = torch.randn(14, 2, generator=drawn())
    d = pairwise_distances(x.numpy())
    method, run = fitted(KMedoids(), x, 3)
    least = min(literal_loss(d, chosen) for chosen in combinations(range(14), 3))
    assert min(run.curve["loss"]) == pytest.approx(least, abs=1e-6)
    near = torch.cdist(x, method.medoids).min(1)
    assert float(near.values.mean()) == pytest.approx(least, abs=1e-6)
    assert torch.equal(method.assign(x), near.indices)


def test_kmedoids_swaps_until_none_helps() -> None:
    """Medoids are rows, and no exchange of one for another row lowers the loss; without swaps some do."""
    pytest.importorskip("kmedoids")
    x = torch.randn(40, 3, generator=drawn())
    d = pairwise_distances(x.numpy())
    for swaps, settled in ((100, True), (0, False)):
        method, _ = fitted(KMedoids(starts=1, swaps=swaps), x, 4)
        medoids = [int((x == row).all(1).nonzero()) for row in method.medoids]
        others = [(*medoids[:j], i, *medoids[j + 1 :]) for j in range(4) for i in range(40)]
        least = min(literal_loss(d, chosen) for chosen in others)
        assert bool(least >= literal_loss(d, tuple(medoids)) - 1e-6) is settled


def literal_greedy(f: np.ndarray, bias: float) -> tuple[list[float], np.ndarray, float]:
    """Costs of the joins, labels, and the sum of the costs inside clusters, of greedy contraction on the full matrix."""
    cost = f @ f.T - bias
    clusters = [[i] for i in range(len(f))]
    joins: list[float] = []
    while len(clusters) > 1:
        pairs = {(a, b): cost[np.ix_(clusters[a], clusters[b])].sum() for a, b in combinations(range(len(clusters)), 2)}
        (a, b), dearest = max(pairs.items(), key=lambda item: item[1])
        if dearest <= 0:
            break
        joins.append(dearest)
        clusters[a] += clusters.pop(b)
    labels = np.zeros(len(f), int)
    for number, members in enumerate(clusters):
        labels[members] = number
    within = sum(cost[i, j] for members in clusters for i, j in combinations(members, 2))
    return joins, labels, within


@pytest.mark.parametrize("candidates", [1, 3])
def test_contraction_is_greedy_on_the_complete_graph(candidates: int) -> None:
    """Each join, the clusters and the objective are those of greedy contraction with all costs written down, to 1e-6."""
    f = torch.nn.functional.normalize(torch.randn(30, 4, generator=drawn())).double().numpy()
    wanted, labels, within = literal_greedy(f, 0.2)
    contraction = Contraction(f, 0.2, candidates)
    found = list(iter(contraction.join, None))
    assert found == pytest.approx(wanted, abs=1e-6)
    assert adjusted_rand_score(labels, contraction.owners()) == 1
    assert contraction.within == pytest.approx(within, abs=1e-6)


def test_every_join_raises_the_objective() -> None:
    """The cost of each join is positive and what the objective gains by it."""
    f = torch.randn(40, 3, generator=drawn()).double().numpy()
    contraction, before = Contraction(f, 0.1, 4), 0.0
    while (cost := contraction.join()) is not None:
        assert cost > 0
        assert contraction.within == pytest.approx(before + cost, abs=1e-9)
        before = contraction.within


def test_the_bias_decides_how_many_clusters() -> None:
    """Three directions are found without k; a bias beyond every product leaves rows alone, one below joins all."""
    x, own = groups(apart=20.0)
    code = Fixed(lambda x: x)
    found = [fitted(ClusterFuG(bias=bias), x, autoencoder=code)[0].labels for bias in (0.5, 1.5, -1.5)]
    assert adjusted_rand_score(own, found[0]) == 1
    assert [len(labels.unique()) for labels in found] == [3, 90, 1]
