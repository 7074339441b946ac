"""IDEC: DEC that keeps the decoder, so that codes go on telling inputs apart while clusters form.

Guo, Gao, Liu, Yin, "Improved Deep Embedded Clustering with Local Structure Preservation", IJCAI 2017.
Idea: DEC's divergence, weighted by 0.1, is added to the autoencoder's reconstruction error.
Deviates: see the card.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn

from datasets.base import Inputs
from methods.base import Card
from methods.parts.batches import autocast, flat
from methods.parts.kmeans import kmeans
from methods.parts.self_training import SelfTrained
from methods.parts.targets import Centres, divergence
from methods.run import Run


@dataclass
class IDEC(SelfTrained):
    """Improved deep embedded clustering, from a trained autoencoder."""

    card = Card(
        title="Improved Deep Embedded Clustering with Local Structure Preservation",
        authors="Guo, Gao, Liu, Yin",
        year=2017,
        url="https://www.ijcai.org/proceedings/2017/243",
        told={"k"},
        tuned_on={"mnist", "mnist-test", "usps", "shapes", "digits"},
        tuning="the autoencoder's 3 trials; then 2 learning rates on shapes, quick (2 seeds)",
        parts={"autoencoder": "ae_kmeans"},
        schedule="until fewer than 0.1% of rows change their cluster between two targets, at most 20,000 steps",
        deviations=[
            "the autoencoder is trained end to end by Adam, not layer by layer, and its codes are scaled",
            "one target interval and one optimiser for all sets; the paper chooses both for each",
            "on colour images the learning rate is 0.0001: at 0.001 all rows may fall into one cluster",
        ],
        settings={
            "smoke": {"steps": 20, "interval": 5},
            "quick": {"steps": 300},
            "quick:colour": {"steps": 180},
            "paper": {"steps": 20000},
            "colour": {"lr": 0.0001},
        },
    )

    weight: float = 0.1  # IDEC, Parameters setting: γ
    lr: float = 0.001  # IDEC, Parameters setting: Adam, for MNIST
    batch_size: int = 256  # IDEC, Parameters setting
    interval: int = 30  # steps between targets; IDEC, Parameters setting, for USPS
    steps: int = 3000  # ours, at most
    tolerance: float = 0.001  # IDEC, Parameters setting: stop when fewer rows change
    starts: int = 20  # IDEC, Parameters setting: k-means restarts
    precision: str = "bf16"  # ours; codes, assignments and targets are float32

    @property
    def encoder(self) -> nn.Module:
        """The encoding half of the autoencoder."""
        return self.network.encoder

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Starts from the autoencoder's codes and k-means, then alternates targets and steps."""
        x = inputs.train
        self.network = copy.deepcopy(run.parts["autoencoder"].network).to(run.device).train()
        centres, _ = kmeans(self.embed(x), k, run, starts=self.starts)
        self.head = Centres(centres).to(run.device)
        weights = [*self.network.parameters(), *self.head.parameters()]
        optimiser = torch.optim.Adam(weights, lr=self.lr, fused=True)
        plan = {"steps": self.steps, "interval": self.interval, "batch_size": self.batch_size, "tolerance": self.tolerance}
        for rows, target in self.rounds(x, run, **plan):
            with autocast(self.precision, run.device):
                code, reconstruction = self.network(flat(x[rows].to(run.device)))
            kl = divergence(target.to(run.device), self.head(code))
            loss = reconstruction + self.weight * kl  # IDEC: L = L_r + γ L_c
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            run.log(reconstruction=reconstruction, kl=kl)
        self.network.eval()
