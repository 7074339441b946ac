"""Clusters by agglomeration on a neighbour graph, as a start of methods that begin with clusters.

Zhang, Wang, Zhao, Tang, "Graph Degree Linkage: Agglomerative Clustering on a Directed Graph", ECCV 2012. arXiv:1208.5092.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from methods.parts.agglomeration import Agglomeration, affinities, first_clusters, neighbours

NEIGHBOURS = 20  # of a row, in the graph
LOCAL = 5  # clusters near the merging pair that it is set off against
SMALL = 20  # a cluster smaller than this part of n/k merges first


def linked(z: Tensor, k: int) -> Tensor:
    """Labels [n] int64 of k clusters of rows z [n, d]."""
    rows = z.cpu().double().numpy()
    labels = first_clusters(neighbours(rows, 1)[1])
    labels = labels if labels.max() + 1 >= k else np.arange(len(rows))
    sums = np.zeros((labels.max() + 1, rows.shape[1]))
    np.add.at(sums, labels, rows)
    centres = sums / np.bincount(labels)[:, None]
    weights = affinities(*neighbours(rows, min(NEIGHBOURS, len(rows) - 1)), 1.0)
    merging = Agglomeration(weights, labels, centres, local=LOCAL, trade=1.0, least=len(rows) / (SMALL * k))
    merging.merge_to(k)
    return torch.from_numpy(merging.compact()).to(z.device)


def gaussians_of(z: Tensor, labels: Tensor, ridge: float = 1e-3) -> tuple[Tensor, Tensor]:
    """Means [k, d] and common covariance [d, d] of clusters of rows z [n, d], labels [n] in 0..k−1; ridge: added to it."""
    rows = z.double()
    k, d = int(labels.max()) + 1, rows.shape[1]
    sums = torch.zeros(k, d, dtype=rows.dtype, device=z.device).index_add_(0, labels, rows)
    means = sums / labels.bincount(minlength=k).unsqueeze(1)
    apart = rows - means[labels]
    within = apart.T @ apart / len(rows) + ridge * torch.eye(d, dtype=rows.dtype, device=z.device)
    return means.to(z), within.to(z)
