"""Clusters by agglomeration on a neighbour graph: from rows to k clusters, and from given clusters to fewer.

Zhang, Wang, Zhao, Tang, "Graph Degree Linkage: Agglomerative Clustering on a Directed Graph", ECCV 2012. arXiv:1208.5092.
Zhang, Zhao, Wang, "Agglomerative clustering via maximum incremental path integral", Pattern Recognition 2013.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array
from torch import Tensor

from methods.parts.agglomeration import Agglomeration, affinities, first_clusters, neighbours

NEIGHBOURS = 20  # of a row, in the graph


def linked(z: Tensor, k: int) -> Tensor:
    """Labels [n] int64 of k clusters of rows z [n, d], merged by their path integrals (AC-PIC).

    S_C = 1ᵀ(I − ζP)⁻¹1 / |C|² adds up the paths of a random walk P that stay in C, ζ = 0.01. The pair C, D with the highest
    S_C|C∪D − S_C + S_D|C∪D − S_D merges. Up to a part of the order of ζ that is ζ² times the affinity of graph degree
    linkage, on P in place of W.
    """
    rows = z.cpu().double().numpy()
    labels = merged(rows, chained(rows, k), k, least=len(rows) / (20 * k), walk=True)
    return torch.from_numpy(labels).to(z.device)


def chained(z: np.ndarray, k: int) -> np.ndarray:
    """Labels [n] of the first clusters of rows z [n, d], or of rows by themselves where chains of neighbours are fewer than k."""
    labels = first_clusters(neighbours(z, 1)[1])
    return labels if labels.max() + 1 >= k else np.arange(len(z))


def merged(
    z: np.ndarray,
    labels: np.ndarray,
    k: int,
    *,
    least: float,
    count: int = NEIGHBOURS,
    a: float = 1.0,
    local: int = 1,
    trade: float = 1.0,
    walk: bool = False,
) -> np.ndarray:
    """Labels [n] int64 once clusters of rows z [n, d], labels [n] of 0..c−1, have merged to k.

    count, a: neighbours of a row and scale of the affinity. local, trade, least: as `Agglomeration` takes them. walk: merge on
    a random walk's probabilities.
    """
    weights = affinities(*neighbours(z, count), a)
    if walk:
        weights = count * transitions(weights)  # `Agglomeration` takes tiny affinities for none
    sums = np.zeros((labels.max() + 1, z.shape[1]))
    np.add.at(sums, labels, z)
    centres = sums / np.bincount(labels)[:, None]
    merging = Agglomeration(weights, labels, centres, local=local, trade=trade, least=least)
    merging.merge_to(k)
    return merging.compact()


def transitions(weights: csr_array) -> csr_array:
    """P [n, n] of affinities W [n, n] without a diagonal: steps of a walk that may also stay, with weight 1.

    P_ij = W_ij / (1 + Σ_m W_im). The steps that stay are left out: no cluster's affinity to another has them.
    """
    return csr_array(diags_array(1 / (1 + weights.sum(1))) @ weights)


def gaussians_of(z: Tensor, labels: Tensor, ridge: float = 1e-3) -> tuple[Tensor, Tensor]:
    """Means [k, d] and common covariance [d, d] of clusters of rows z [n, d], labels [n] in 0..k−1; ridge: added to it."""
    rows = z.double()
    k, d = int(labels.max()) + 1, rows.shape[1]
    sums = torch.zeros(k, d, dtype=rows.dtype, device=z.device).index_add_(0, labels, rows)
    means = sums / labels.bincount(minlength=k).unsqueeze(1)
    apart = rows - means[labels]
    within = apart.T @ apart / len(rows) + ridge * torch.eye(d, dtype=rows.dtype, device=z.device)
    return means.to(z), within.to(z)
