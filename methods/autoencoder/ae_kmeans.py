"""AE + k-means: k-means on the code of a fully connected autoencoder.

The baseline of Xie, Girshick, Farhadi, "Unsupervised Deep Embedding for Clustering Analysis", ICML 2016. arXiv:1511.06335.
Idea: a deep autoencoder with a ten-dimensional code; k-means on the codes of all rows. It starts DEC and IDEC.
Deviates: see the card.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.autoencoders import Autoencoder
from methods.parts.batches import autocast, batches, flat, through
from methods.run import Run


@dataclass
class AeKmeans(Method):
    """An autoencoder trained on its reconstruction; the harness clusters its code with k-means++ and 10 starts."""

    card = Card(
        title="Autoencoder + k-means",
        authors="Xie, Girshick, Farhadi",
        year=2016,
        arxiv="1511.06335",
        told={"k"},
        own_clusters=False,
        tuned_on={"mnist", "mnist-test", "usps", "shapes", "digits"},
        tuning="4 trials on mnist-test: input dropout 0 and 0.2 for 100 epochs, 0.2 for 60, 0 for 50 (1 seed each); 3 on usps: "
        "0.2 for 100 epochs (4 seeds), 0 for 50 (2 seeds) and 100 (1 seed); chosen by the ACC of DEC on them",
        schedule="layer by layer 50,000 steps each, then 100,000 steps end to end, batch 256",
        deviations=[
            "trained end to end by Adam from the start, without dropout; the paper pretrains layer by layer with it, by SGD",
            "codes are shifted and scaled to one standard deviation, which the decoder undoes",
        ],
        settings={
            "smoke": {"epochs": 2, "least_steps": 4},
            "quick": {"epochs": 35, "least_steps": 250},
            "quick:colour": {"epochs": 25, "least_steps": 200},
            "paper": {"epochs": 500, "least_steps": 100000},
        },
    )

    widths: tuple = (500, 500, 2000)  # DEC, Implementation
    code: int = 10  # DEC, Implementation
    epochs: int = 100  # ours: converged for clustering; DEC trains 100,000 steps
    least_steps: int = 3000  # ours: small sets get more epochs
    batch_size: int = 256  # DEC, Implementation
    lr: float = 0.001  # Adam's default
    spread: float = 2.0  # ours: the codes' standard deviation; DEC's kernel has scale 1, and smaller codes collapse
    precision: str = "bf16"  # ours

    def build(self, shape: tuple[int, ...], k: int | None) -> None:
        """Makes the autoencoder; k plays no part in it."""
        self.network = Autoencoder([math.prod(shape), *self.widths, self.code])

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Trains encoder and decoder on the reconstruction error."""
        x = inputs.train
        self.build(tuple(x.shape[1:]), k)
        # DEC, Datasets: inputs are scaled so that ‖x‖²/d is 1 on average
        square = sum(float(flat(part).double().square().sum()) for part in x.split(4096))
        self.network.encoder.scale.fill_((square / (len(x) * x[0].numel())) ** -0.5 if square else 1.0)
        self.network.to(run.device).train()
        optimiser = torch.optim.Adam(self.network.parameters(), lr=self.lr, fused=True)
        for _ in run.epochs(max(self.epochs, math.ceil(self.least_steps / math.ceil(len(x) / self.batch_size)))):
            for rows in batches(len(x), self.batch_size, run.generator):
                with autocast(self.precision, run.device):
                    _, loss = self.network(flat(x[rows].to(run.device)))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                run.log(reconstruction=loss)
        self.network.standardise(self.embed(x).to(run.device), self.spread)
        self.network.eval()

    def embed(self, x: Tensor) -> Tensor:
        """Codes [n, code] float32."""
        return through(self.network.encoder, x, flat)
