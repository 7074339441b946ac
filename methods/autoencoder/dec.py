"""DEC: refines an autoencoder's codes and k centres by matching soft assignments to their own sharpened version.

Xie, Girshick, Farhadi, "Unsupervised Deep Embedding for Clustering Analysis", ICML 2016. arXiv:1511.06335.
Idea: codes are assigned to centres by a Student-t kernel; the target squares these assignments and divides by the
cluster's size, so that confident ones grow. The KL divergence between the two trains encoder and centres.
Deviates: see the card.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch

from datasets.base import Inputs
from methods.base import Card
from methods.parts.batches import autocast, flat
from methods.parts.kmeans import kmeans
from methods.parts.self_training import SelfTrained
from methods.parts.targets import Centres, divergence
from methods.run import Run


@dataclass
class DEC(SelfTrained):
    """Deep embedded clustering, from a trained autoencoder."""

    card = Card(
        title="Unsupervised Deep Embedding for Clustering Analysis",
        authors="Xie, Girshick, Farhadi",
        year=2016,
        arxiv="1511.06335",
        told={"k"},
        tuned_on={"mnist", "mnist-test", "usps", "shapes", "digits"},
        tuning="the autoencoder's 3 trials; then 3 learning rates on shapes, quick (2 seeds)",
        parts={"autoencoder": "ae_kmeans"},
        schedule="until fewer than 0.1% of rows change their cluster between two targets",
        deviations=[
            "the autoencoder is trained end to end by Adam, not layer by layer, and its codes are scaled",
            "on colour images the learning rate is 0.0003: at 0.01 all rows fall into one cluster",
        ],
        settings={
            "smoke": {"steps": 20, "interval": 5},
            "quick": {"steps": 300},
            "paper": {"steps": 20000},
            "colour": {"lr": 0.0003},
        },
    )

    lr: float = 0.01  # DEC, Implementation
    momentum: float = 0.9  # the authors' solver
    batch_size: int = 256  # DEC, Implementation
    interval: int = 30  # steps between targets; ours, one value for all sets
    steps: int = 3000  # ours, at most
    tolerance: float = 0.001  # DEC, Implementation: stop when fewer rows change
    starts: int = 20  # DEC, Implementation: k-means restarts
    precision: str = "bf16"  # ours; codes, assignments and targets are float32

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Starts from the autoencoder's codes and k-means, then alternates targets and steps."""
        x = inputs.train
        self.encoder = copy.deepcopy(run.parts["autoencoder"].network.encoder).to(run.device).train()
        centres, _ = kmeans(self.embed(x), k, run, starts=self.starts)
        self.head = Centres(centres).to(run.device)
        weights = [*self.encoder.parameters(), *self.head.parameters()]
        optimiser = torch.optim.SGD(weights, lr=self.lr, momentum=self.momentum)
        plan = {"steps": self.steps, "interval": self.interval, "batch_size": self.batch_size, "tolerance": self.tolerance}
        for rows, target in self.rounds(x, run, **plan):
            with autocast(self.precision, run.device):
                code = self.encoder(flat(x[rows].to(run.device)))
            loss = divergence(target.to(run.device), self.head(code))  # DEC eq. 2
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            run.log(kl=loss)
        self.encoder.eval()
