"""UMAP: a low-dimensional layout of a fuzzy neighbour graph. And the mixture of Gaussians that reads clusters from it.

McInnes, Healy, Melville, "UMAP: uniform manifold approximation and projection for dimension reduction". arXiv:1802.03426.
Written in tensors, without a just-in-time compiler: the edges of an epoch are taken in random batches small enough that a
row moves about once in each, where the authors' program takes them one after another.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from scipy.optimize import curve_fit
from scipy.sparse import csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import ArpackNoConvergence, eigsh
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from methods.run import Run

STEP = 4.0  # the authors' program: no coordinate moves further in one step
NEGATIVES = 5  # UMAP, Implementation: random rows that each sampled edge pushes away


def umap(x: Tensor, run: Run, *, components: int, neighbours: int, min_dist: float, epochs: int = 0) -> Tensor:
    """The layout [n, components] float32 of vectors x [n, d].

    neighbours: of a row, itself counted. epochs: 0 for the authors' choice, 500 up to 10,000 rows and 200 beyond.
    """
    graph = fuzzy_graph(*nearest(x, min(neighbours, len(x) - 1) - 1))
    start = first_places(graph, x, min(components, len(x) - 2), run)
    return lay_out(start, graph, curve(min_dist), epochs or (500 if len(x) <= 10000 else 200), run)


def nearest(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Indices [n, count] int64 and Euclidean distances [n, count] float64 of each row's nearest others, exact."""
    distances, rows = NearestNeighbors(n_neighbors=count).fit(x.numpy()).kneighbors()
    return torch.from_numpy(rows), torch.from_numpy(distances).double()


def memberships(distances: Tensor) -> Tensor:
    """Weights [n, count] float64 in 0..1 of each row's neighbours: UMAP alg. 2 and 3.

    w_ij = exp(−max(0, d_ij − ρ_i) / σ_i), ρ_i the smallest positive distance, σ_i such that Σ_j w_ij = log₂(count + 1).
    """
    rho = torch.where(distances > 0, distances, torch.inf).amin(1, keepdim=True)
    beyond = (distances - torch.where(rho.isinf(), 0.0, rho)).clamp(min=0)
    wanted = np.log2(distances.shape[1] + 1)
    low, high = torch.zeros_like(rho), torch.full_like(rho, torch.inf)
    sigma = torch.ones_like(rho)
    for _ in range(64):  # bisection; the upper end is found by doubling
        many = (-beyond / sigma).exp().sum(1, keepdim=True) > wanted
        low, high = torch.where(many, low, sigma), torch.where(many, sigma, high)
        sigma = torch.where(high.isinf(), 2 * low, (low + high) / 2)
    # the authors' program: a floor, without which rows among duplicates see nothing else
    sigma = torch.maximum(sigma, 1e-3 * torch.where(rho.isinf(), distances.mean(), distances.mean(1, keepdim=True)))
    return torch.where(beyond > 0, (-beyond / sigma).exp(), 1.0)


def fuzzy_graph(rows: Tensor, distances: Tensor) -> csr_array:
    """The symmetric graph [n, n] of memberships of neighbours [n, count], joined by the probabilistic or: UMAP alg. 1.

    B = A + Aᵀ − A ∘ Aᵀ
    """
    n, count = rows.shape
    weights = memberships(distances).numpy().ravel()
    one = csr_array((weights, (np.repeat(np.arange(n), count), rows.numpy().ravel())), shape=(n, n))
    other = csr_array(one.T)
    graph = csr_array(one + other - one * other)
    graph.sort_indices()
    return graph


def curve(min_dist: float) -> tuple[float, float]:
    """a and b of 1 / (1 + a·d^2b) nearest to a similarity of 1 up to min_dist and exp(min_dist − d) beyond: UMAP def. 11."""
    d = np.linspace(0, 3, 300)
    wanted = np.where(d < min_dist, 1.0, np.exp(min_dist - d))
    (a, b), _ = curve_fit(lambda d, a, b: 1 / (1 + a * d ** (2 * b)), d, wanted)
    return float(a), float(b)


def first_places(graph: csr_array, x: Tensor, components: int, run: Run) -> Tensor:
    """Where the rows start, [n, components] float32: the graph's eigenvectors, or x's principal components, as far as ±10.

    The eigenvectors are those after the constant one of the normalised Laplacian: UMAP alg. 4. Those of a graph in several
    parts say nothing of how the parts lie to each other; there the components stand in, which the authors' program offers too.
    """
    vectors = spectral(graph, components, run) if connected_components(graph)[0] == 1 else None
    if vectors is None:
        principal = PCA(min(components, x.shape[1]), random_state=run.integer()).fit_transform(x.double().numpy())
        vectors = np.pad(principal, ((0, 0), (0, components - principal.shape[1])))
    start = torch.from_numpy(vectors)
    start = start * (10 / start.abs().max().clamp(min=1e-12))
    return (start + 1e-4 * torch.randn(start.shape, generator=run.generator, dtype=torch.float64)).float()


def spectral(graph: csr_array, components: int, run: Run) -> np.ndarray | None:
    """The eigenvectors [n, components] float64 of a connected graph; None where they don't converge."""
    n = graph.shape[0]
    root = diags_array(1 / np.sqrt(np.asarray(graph.sum(1)).ravel()))
    start = torch.rand(n, generator=run.generator, dtype=torch.float64).numpy()
    width = min(n - 1, max(2 * components + 3, int(n**0.5)))
    try:
        # the largest of D^−½ A D^−½ are the smallest of the normalised Laplacian
        values, vectors = eigsh(root @ graph @ root, k=components + 1, which="LA", v0=start, ncv=width, tol=1e-4, maxiter=5 * n)
    except ArpackNoConvergence:
        return None
    return vectors[:, np.argsort(-values, kind="stable")[1:]]


def lay_out(y: Tensor, graph: csr_array, shape: tuple[float, float], epochs: int, run: Run) -> Tensor:
    """Moves rows y [n, c] so that joined ones attract and random ones repel each other: UMAP alg. 5. Changes y."""
    a, b = shape
    edges = graph.tocoo()
    weights = edges.data / edges.data.max()
    kept = weights >= 1 / epochs  # lighter ones would never be drawn
    head, tail = (torch.from_numpy(ends[kept].astype(np.int64)) for ends in edges.coords)
    weight = torch.from_numpy(weights[kept])
    for epoch in run.epochs(epochs, snapshots=False, keep={"layout": y}):
        rate = 1 - epoch / epochs
        # an edge's turns are spread evenly, in proportion to its weight
        due = ((epoch + 1) * weight).floor() > (epoch * weight).floor()
        due = due.nonzero().squeeze(1)
        due = due[torch.randperm(len(due), generator=run.generator)]
        for part in due.split(max(1, len(y) // 2)):
            i, j = head[part], tail[part]
            apart = y[i] - y[j]
            square = apart.square().sum(1, keepdim=True).clamp(min=1e-12)
            step = rate * (-attraction(square, a, b) * apart).clamp(-STEP, STEP)
            y.index_add_(0, i, step).index_add_(0, j, -step)
            away = torch.randint(len(y), (NEGATIVES, len(part)), generator=run.generator)
            apart = y[i] - y[away]
            square = apart.square().sum(2, keepdim=True)
            y.index_add_(0, i, rate * (repulsion(square, a, b) * apart).clamp(-STEP, STEP).sum(0))
    return y


def attraction(square: Tensor, a: float, b: float) -> Tensor:
    """How far joined rows at a squared distance move together, per unit of their difference: UMAP, gradient of −log φ."""
    return 2 * a * b * square ** (b - 1) / (1 + a * square**b)


def repulsion(square: Tensor, a: float, b: float) -> Tensor:
    """How far rows at a squared distance move apart, per unit of their difference: UMAP, gradient of −log(1 − φ), ε 0.001."""
    return 2 * b / ((1e-3 + square) * (1 + a * square**b))


def gaussians(z: Tensor, k: int, run: Run, *, ridge: float, starts: int) -> Tensor:
    """Responsibilities [n, k] float32 of k Gaussians with full covariances, fitted to z [n, d] by EM from k-means."""
    mixture = GaussianMixture(k, covariance_type="full", reg_covar=ridge, n_init=starts, max_iter=200, random_state=run.integer())
    points = z.double().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a run that reached its last step counts as it stands
        return torch.from_numpy(mixture.fit(points).predict_proba(points)).float()
