"""HDBSCAN: clusters are the dense regions that persist longest as the asked density rises; the rest is noise.

Campello, Moulavi, Sander, "Density-based clustering based on hierarchical density estimates", PAKDD 2013.
Idea: distances are raised to the core distances of both ends; single linkage on them gives a tree of density levels;
splits that part off few rows are taken for loss of noise; of the rest the clusters of the most excess of mass are chosen.
It finds the number of clusters itself. Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.cluster import HDBSCAN

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import flat
from methods.parts.manifold import umap
from methods.parts.principal import Principal
from methods.run import Run


@dataclass
class Hdbscan(Method):
    """scikit-learn's HDBSCAN, on the UMAP layout of the inputs or on their principal components."""

    card = Card(
        title="Density-based clustering based on hierarchical density estimates",
        authors="Campello, Moulavi, Sander",
        year=2013,
        url="https://doi.org/10.1007/978-3-642-37456-2_14",
        told=set(),
        tuned_on={"mnist"},
        tuning="none by us: neighbours, dimensions, samples and smallest cluster are those of UMAP's manual for mnist",
        tracks={"transductive"},
        max_n=100000,
        schedule="closed form, after 500 epochs of UMAP up to 10,000 rows, 200 beyond",
        deviations=[
            "run on the UMAP layout of the inputs, as its practice is; on 50 principal components of usps 72% of rows are noise",
            "where classes touch in the layout they stay one cluster: 8 are found on usps, 6 or 7 on mnist-test",
        ],
        settings={"smoke": {"epochs": 20}, "quick": {"epochs": 200}},
    )

    space: str = "umap"  # umap or pca
    components: int = 2  # UMAP's manual, "Using UMAP for clustering"; for pca it gives 50
    neighbours: int = 30  # UMAP's manual
    min_dist: float = 0.0  # UMAP's manual
    epochs: int = 0  # 0: the schedule of UMAP's authors
    share: float = 0.00714  # UMAP's manual: a cluster has 500 of 70,000 rows at least
    samples: int = 10  # UMAP's manual: neighbours that the core distance reaches to

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Finds the space, then the clusters in it."""
        x = inputs.train
        if self.space == "umap":
            plan = {"neighbours": self.neighbours, "min_dist": self.min_dist, "epochs": self.epochs}
            self.embedding = umap(flat(x), run, components=self.components, **plan)
        elif self.space == "pca":
            self.embedding = Principal(x, self.components, run)(x)
        else:
            raise ValueError(f"space is {self.space!r}; allowed: umap, pca")
        smallest = max(5, round(self.share * len(x)))
        found = HDBSCAN(min_cluster_size=smallest, min_samples=min(self.samples, len(x)), copy=True).fit(self.embedding.numpy())
        self.labels = torch.from_numpy(found.labels_).long()
