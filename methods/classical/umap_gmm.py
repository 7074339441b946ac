"""UMAP + GMM: a mixture of k Gaussians on the UMAP layout of the inputs.

McInnes, Healy, Melville, "UMAP: uniform manifold approximation and projection for dimension reduction". arXiv:1802.03426.
Idea: a graph of nearest neighbours is laid out in few dimensions so that joined rows attract and all others repel each
other. Clusters that are curved in the inputs become compact there, and Gaussians with full covariances can tell them apart.
It is N2D without its autoencoder. Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import flat
from methods.parts.manifold import gaussians, umap
from methods.run import Run


@dataclass
class UmapGMM(Method):
    """The manifold learner and the mixture of N2D, on the inputs themselves."""

    card = Card(
        title="UMAP + Gaussian mixture",
        authors="McInnes, Healy, Melville",
        year=2018,
        arxiv="1802.03426",
        told={"k"},
        tuned_on={"mnist", "mnist-test", "usps", "fashion-mnist"},
        tracks={"transductive"},
        max_n=100000,
        schedule="500 epochs of the layout up to 10,000 rows, 200 beyond; EM to convergence",
        tuning="neighbours, dimensions and distance are N2D's; of the mixture, ridges of 1e-6 and 0.1 with 1 to 24 starts on "
        "three layouts of usps and one of mnist-test",
        deviations=[
            "the layout takes the edges of an epoch in random batches, not one by one, and its neighbours are exact",
            "the mixture is the likeliest of 20 starts, with a ridge of 0.1: with scikit-learn's 1e-6, directions in which the "
            "layout is thin decide the likelihood, and mixtures of an ACC of 0.80 are as likely as those of 0.95 (usps)",
        ],
        settings={"smoke": {"epochs": 20, "starts": 1}, "quick": {"epochs": 200}},
    )

    neighbours: int = 20  # N2D, its authors' run.sh
    min_dist: float = 0.0  # N2D
    epochs: int = 0  # 0: the schedule of UMAP's authors
    ridge: float = 0.1  # ours: on every variance; the layout is flat below distances of about 0.3
    starts: int = 20  # ours: EM from one start often ends with two classes in one Gaussian

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Lays the inputs out in k dimensions, then fits the mixture there."""
        self.embedding = umap(
            flat(inputs.train), run, components=k, neighbours=self.neighbours, min_dist=self.min_dist, epochs=self.epochs
        )
        self.labels = gaussians(self.embedding, k, run, ridge=self.ridge, starts=self.starts).argmax(1)
