"""Ward: agglomerative clustering that merges the pair of clusters whose union adds least variance.

Ward, "Hierarchical grouping to optimize an objective function", JASA 1963.
Deviates: nothing known.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.cluster import AgglomerativeClustering

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import flat
from methods.run import Run


@dataclass
class Ward(Method):
    """Ward's linkage on the inputs, cut at k clusters."""

    card = Card(
        title="Agglomerative clustering, Ward's linkage",
        authors="Ward",
        year=1963,
        url="https://doi.org/10.1080/01621459.1963.10500845",
        told={"k"},
        tracks={"transductive"},
        max_n=20000,
        schedule="closed form",
    )

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Builds the tree of merges and cuts it."""
        tree = AgglomerativeClustering(k, linkage="ward").fit(flat(inputs.train).numpy())
        self.labels = torch.from_numpy(tree.labels_).long()
