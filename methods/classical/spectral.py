"""Spectral clustering: k-means on the leading eigenvectors of a neighbour graph's normalised Laplacian.

Ng, Jordan, Weiss, "On spectral clustering: analysis and an algorithm", NeurIPS 2001.
Idea: rows are nodes, neighbours are joined; the k smallest eigenvectors of the Laplacian tell its loosely joined parts
apart. Each row of eigenvectors is brought to length 1, then k-means clusters the rows.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import diags_array
from scipy.sparse.linalg import eigsh
from sklearn.neighbors import kneighbors_graph

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import flat
from methods.parts.kmeans import kmeans
from methods.run import Run


@dataclass
class Spectral(Method):
    """Normalised cuts of the symmetrised nearest-neighbour graph."""

    card = Card(
        title="On spectral clustering: analysis and an algorithm",
        authors="Ng, Jordan, Weiss",
        year=2001,
        url="https://papers.nips.cc/paper/2092-on-spectral-clustering-analysis-and-an-algorithm",
        told={"k"},
        tracks={"transductive"},
        max_n=20000,
        schedule="closed form",
        deviations=["a sparse graph of 10 nearest neighbours with weights 1 stands for the dense Gaussian affinity"],
    )

    neighbours: int = 10  # ours: scikit-learn's default for a neighbour graph
    starts: int = 10  # ours: k-means restarts, as in protocol v1

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Builds the graph, finds the eigenvectors, clusters them."""
        x = flat(inputs.train).numpy()
        graph = kneighbors_graph(x, min(self.neighbours, len(x) - 1), include_self=False)
        graph = 0.5 * (graph + graph.T)
        root = diags_array(1 / np.sqrt(np.asarray(graph.sum(1)).ravel()))
        # D^−½ A D^−½: its largest eigenvectors are the smallest of the normalised Laplacian
        normal = root @ graph @ root
        start = torch.rand(len(x), generator=run.generator, dtype=torch.float64).numpy()
        _, vectors = eigsh(normal, k=k, which="LA", v0=start)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        rows = vectors / np.maximum(length, np.finfo(np.float64).tiny)
        self.embedding = torch.from_numpy(rows).float()
        _, self.labels = kmeans(self.embedding, k, run, starts=self.starts)
