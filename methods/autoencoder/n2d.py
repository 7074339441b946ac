"""N2D: a mixture of k Gaussians on the UMAP layout of an autoencoder's codes.

McConville, Santos-Rodriguez, Piechocki, Craddock, "N2D: (not too) deep clustering via clustering the local manifold of an
autoencoded embedding", ICPR 2020. arXiv:1908.05968.
Idea: no clustering loss. The autoencoder finds a code, UMAP the local manifold in it, and Gaussians with full covariances
the clusters. Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.manifold import gaussians, umap
from methods.run import Run


@dataclass
class N2D(Method):
    """Autoencoder, manifold, mixture, one after the other."""

    card = Card(
        title="N2D: (not too) deep clustering via clustering the local manifold of an autoencoded embedding",
        authors="McConville, Santos-Rodriguez, Piechocki, Craddock",
        year=2020,
        arxiv="1908.05968",
        told={"k"},
        tuned_on={"mnist", "mnist-test", "usps", "fashion-mnist", "shapes", "digits"},
        tracks={"transductive"},
        max_n=100000,
        parts={"autoencoder": "ae_kmeans"},
        schedule="1000 epochs of the autoencoder, batch 256; UMAP's own schedule; EM to convergence",
        tuning="the autoencoder's trials; then of the mixture, ridges of 1e-6 and 0.1 with 1 to 24 starts on three layouts of "
        "usps and one of mnist-test",
        deviations=[
            "the autoencoder is trained for 100 epochs, and its code has 10 dimensions whatever k is",
            "the layout takes the edges of an epoch in random batches, not one by one, and its neighbours are exact",
            "the mixture is the likeliest of 20 starts, with a ridge of 0.1; the authors take one start and a ridge of 1e-6: "
            "on one layout of usps 7 of 20 such fits reached an ACC of 0.96",
        ],
        settings={"smoke": {"epochs": 20, "starts": 1}, "quick": {"epochs": 200}},
    )

    neighbours: int = 20  # the authors' run.sh
    min_dist: float = 0.0  # the authors' run.sh
    epochs: int = 0  # 0: the schedule of UMAP's authors
    ridge: float = 0.1  # ours: on every variance; the layout is flat below distances of about 0.3
    starts: int = 20  # ours: EM from one start often ends with two classes in one Gaussian

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Codes, their layout in k dimensions, the mixture there."""
        code = run.parts["autoencoder"].embed(inputs.train)
        self.embedding = umap(code, run, components=k, neighbours=self.neighbours, min_dist=self.min_dist, epochs=self.epochs)
        self.labels = gaussians(self.embedding, k, run, ridge=self.ridge, starts=self.starts).argmax(1)
