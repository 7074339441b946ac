"""TLDR: a linear map to few dimensions that tells apart what is not near, learned from nearest neighbours.

Almazán, Ko, Gu, Larlus, Kalantidis, "TLDR: Twin Learning for Dimensionality Reduction", TMLR 2022. arXiv:2110.09455.
Idea: a row and one of its nearest neighbours are two views of one thing. Barlow Twins' loss asks that each output of a
projector agree on both, and that no two outputs say the same. The linear encoder below the projector is kept.
Deviates: see the card.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import autocast, batches, flat, through
from methods.parts.encoders import projector
from methods.parts.redundancy import barlow, correlation
from methods.parts.schedules import warm_cosine
from methods.run import Run


@dataclass
class TLDR(Method):
    """A linear embedding; the harness clusters it with k-means++ and 10 starts."""

    card = Card(
        title="TLDR: Twin Learning for Dimensionality Reduction",
        authors="Almazán, Ko, Gu, Larlus, Kalantidis",
        year=2022,
        arxiv="2110.09455",
        told=set(),
        tuned_on={"usps"},
        tuning="2 values of λ, 0.0039 and 0.0156, on usps (1 seed); of 32 principal components kNN is 0.002 better on usps, "
        "0.006 on mnist-test, k-means' ACC 0.02 worse on both",
        schedule="100 epochs in batches of 1,024",
        deviations=[
            "the projector's layers are 512 wide, not 2,048, to stay within minutes of one core",
            "trained by Adam, not by LARS, with the authors' warm-up and cosine",
        ],
        settings={
            "smoke": {"epochs": 2, "width": 32},
            "quick": {"epochs": 30, "width": 256},
            "paper": {"width": 2048},
        },
    )

    components: int = 32  # TLDR, section 4
    neighbours: int = 5  # the authors' code
    width: int = 512  # of the projector's two layers; ours, the paper has 2,048
    redundancy: float = 0.0039  # λ; the authors' code
    batch_size: int = 1024  # TLDR
    epochs: int = 100  # TLDR
    warm_up: int = 10  # epochs; the authors' code
    lr: float = 0.001  # ours, for Adam
    precision: str = "bf16"  # ours; correlations are float32

    def build(self, shape: tuple[int, ...], k: int | None) -> None:
        """Makes the linear encoder; k plays no part in it."""
        self.encoder = nn.Linear(math.prod(shape), self.components)

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Finds every row's neighbours, then trains encoder and projector on pairs."""
        x = flat(inputs.train)
        self.build(tuple(x.shape[1:]), k)
        near = NearestNeighbors(n_neighbors=min(self.neighbours, len(x) - 1), algorithm="brute").fit(x.numpy())
        pairs = torch.from_numpy(near.kneighbors(return_distance=False))
        self.encoder.to(run.device).train()
        head = projector(self.components, self.width, self.width).to(run.device).train()
        optimiser = torch.optim.Adam([*self.encoder.parameters(), *head.parameters()], lr=self.lr, fused=True)
        steps = max(1, len(x) // self.batch_size)
        schedule = warm_cosine(optimiser, self.epochs * steps, self.warm_up * steps)
        for _ in run.epochs(self.epochs):
            for rows in batches(len(x), self.batch_size, run.generator, drop_last=True):
                which = torch.randint(pairs.shape[1], (len(rows),), generator=run.generator)
                views = torch.cat([x[rows], x[pairs[rows, which]]]).to(run.device)
                codes = self.encoder(views)
                with autocast(self.precision, run.device):
                    z1, z2 = (head(part) for part in codes.chunk(2))
                loss = barlow(correlation(z1, z2), self.redundancy)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                run.log(barlow=loss)
        self.encoder.eval()

    def embed(self, x: Tensor) -> Tensor:
        """Linear codes of length 1: [n, components] float32."""
        return F.normalize(through(self.encoder, x, flat), dim=1)
