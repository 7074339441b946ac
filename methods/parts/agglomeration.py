"""Agglomerative clustering on a directed neighbour graph, by graph degree linkage, exactly and in O(n) a merge.

Zhang, Wang, Zhao, Tang, "Graph Degree Linkage: Agglomerative Clustering on a Directed Graph", ECCV 2012. arXiv:1208.5092.
Yang, Parikh, Batra, "Joint Unsupervised Learning of Deep Representations and Image Clusters", CVPR 2016. arXiv:1604.03628.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors

LOCAL_FROM = 100  # JULE's authors look at further clusters only while there are more than these
CRUMB = 20  # times smaller than the average
NEGLIGIBLE = 1e-6  # an affinity under this ties nothing: rows far from all have weights of exp(−large)


def neighbours(x: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances and indices [n, count] of the nearest other rows of x [n, d]."""
    far, index = NearestNeighbors(n_neighbors=min(count, len(x) - 1), algorithm="brute").fit(x).kneighbors()
    return far.astype(np.float64) ** 2, index


def affinities(far: np.ndarray, index: np.ndarray, a: float) -> csr_array:
    """W [n, n]: W_ij = exp(−‖x_i − x_j‖² / σ²) for the neighbours j of i, σ² = a · their mean squared distance."""
    n, count = far.shape
    weights = np.exp(-far / max(a * far.mean(), 1e-12))
    return csr_array((weights.ravel(), index.ravel(), np.arange(0, n * count + 1, count)), shape=(n, n))


def first_clusters(index: np.ndarray) -> np.ndarray:
    """Labels [n] of the start: rows tied by a chain of nearest neighbours, some four rows a cluster."""
    n = len(index)
    chain = csr_array((np.ones(n), (np.arange(n), index[:, 0])), shape=(n, n))
    return connected_components(chain, directed=True, connection="weak")[1].astype(np.int64)


class Agglomeration:
    """Clusters of rows that merge two by two.

    W: [n, n] sparse, directed. labels: [n] of 0..k−1. centres: [k, d], which decide where the graph ties a cluster to nothing.
    local: K_c, the clusters whose affinity counts in the choice of a merge; 1: the highest affinity alone. least: a cluster of
    fewer rows that has no affinity to any joins the one with the nearest centre first, and one much smaller than the average
    (CRUMB) the one with the highest affinity: else such crumbs outlive the merges.
    """

    def __init__(
        self, weights: csr_array, labels: np.ndarray, centres: np.ndarray, *, local: int, trade: float = 1.0, least: float = 0
    ) -> None:
        k = int(labels.max()) + 1
        self.labels, self.centres = labels.copy(), centres.astype(np.float64)
        self.local, self.trade, self.least = local, trade, least
        self.sizes = np.bincount(labels, minlength=k).astype(np.float64)
        member = csr_array((np.ones(len(labels)), (labels, np.arange(len(labels)))), shape=(k, len(labels)))
        self.outward = (member @ weights).toarray().astype(np.float32)  # [k, n]: Σ over i of the cluster of W_im
        self.inward = (member @ weights.T).toarray().astype(np.float32)  # [k, n]: the same of W_mi
        self.alive = np.ones(k, dtype=bool)
        self.directed = (member @ (self.outward * self.inward).T).T.astype(np.float64)  # [k, k]: 1ᵀ W_ij W_ji 1
        np.fill_diagonal(self.directed, 0)
        scaled = self.directed / self.sizes[:, None] ** 2
        self.affinity = scaled + scaled.T  # A(C_i, C_j) of graph degree linkage
        self.scores = self._scores(np.arange(k))

    @property
    def count(self) -> int:
        """Clusters left."""
        return int(self.alive.sum())

    def merge_to(self, k: int) -> None:
        """Merges until k clusters are left."""
        while self.count > k:
            if self.local > 1 and self.count == LOCAL_FROM:
                self.scores = np.where(self.alive, self.affinity.max(1), -np.inf)
            self.merge(*self.best())

    def best(self) -> tuple[int, int]:
        """The pair to merge next: the cluster with the highest score, and the one nearest to it."""
        lost = self.alive & (self.sizes < np.where(self.scores < NEGLIGIBLE, self.least, self.sizes.sum() / (CRUMB * self.count)))
        i = int(np.where(lost, self.sizes, np.inf).argmin()) if lost.any() else int(self.scores.argmax())
        if self.affinity[i].max() > NEGLIGIBLE:
            return i, int(self.affinity[i].argmax())
        if not lost.any():
            i = int(np.where(self.alive, self.sizes, np.inf).argmin())
        far = np.square(self.centres - self.centres[i]).sum(1)
        far[~self.alive], far[i] = np.inf, np.inf
        return int(far.argmin()), i

    def merge(self, a: int, b: int) -> None:
        """Cluster b joins a."""
        touched = np.flatnonzero((self.affinity[a] > 0) | (self.affinity[b] > 0))
        self.centres[a] = (self.sizes[a] * self.centres[a] + self.sizes[b] * self.centres[b]) / (self.sizes[a] + self.sizes[b])
        self.sizes[a] += self.sizes[b]
        self.sizes[b] = 0
        self.labels[self.labels == b] = a
        self.outward[a] += self.outward[b]
        self.inward[a] += self.inward[b]
        self.alive[b] = False
        k = len(self.sizes)
        # 1ᵀ W_ij W_ji 1 adds up over the rows of j; over those of i it has cross terms, so that row is made anew
        self.directed[:, a] += self.directed[:, b]
        self.directed[a] = np.bincount(self.labels, self.outward[a] * self.inward[a], minlength=k)
        self.directed[a, a] = 0
        self.directed[:, b] = self.directed[b] = 0
        self.affinity[:, b] = self.affinity[b] = 0
        self.affinity[a] = self.directed[a] / self.sizes[a] ** 2 + self.directed[:, a] / np.maximum(self.sizes, 1) ** 2
        self.affinity[:, a] = self.affinity[a]
        changed = np.union1d(np.append(touched, [a, b]), np.flatnonzero(self.affinity[a] > 0))
        self.scores[changed] = self._scores(changed)

    def _scores(self, rows: np.ndarray) -> np.ndarray:
        """A(C, N[1]) + λ/(K_c − 1) Σ_k (A(C, N[1]) − A(C, N[k])) of clusters, N[k] the k-th nearest; −∞ if gone."""
        close = self.affinity[rows]
        local = min(self.local, close.shape[1] - 1)
        if local < 2 or self.count <= LOCAL_FROM:
            score = close.max(1)
        else:
            top = -np.partition(-close, local - 1, axis=1)[:, :local]
            best = top.max(1)
            score = best + self.trade / (local - 1) * (local * best - top.sum(1))
        return np.where(self.alive[rows], score, -np.inf)

    def compact(self) -> np.ndarray:
        """Labels [n] int64 as 0..count−1."""
        return np.unique(self.labels, return_inverse=True)[1].astype(np.int64)
