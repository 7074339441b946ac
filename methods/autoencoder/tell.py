"""TELL: k-means as one layer of a network, trained together with an autoencoder.

Peng, Li, Tsang, Zhu, Lv, Zhou, "XAI Beyond Classification: Interpretable Neural Clustering", JMLR 2022. arXiv:1808.07292.
Idea: −‖z − μ_j‖²/τ + ‖z‖²/τ is linear in z, with weights 2μ_j/τ and bias −‖μ_j‖²/τ, so that k-means is a linear layer,
a softmax and a loss. Codes and centres have length 1. Epochs that move the centres alternate with epochs that move the codes.
Deviates: see the card.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.autoencoders import Autoencoder
from methods.parts.batches import autocast, batches, flat, through
from methods.parts.kmeans import kmeans
from methods.run import Run


class ClusterLayer(nn.Module):
    """Trainable centres of length 1; maps codes [b, d] to k-means' distances as the logits [b, k] of a softmax."""

    def __init__(self, centres: Tensor, temperature: float) -> None:
        super().__init__()
        self.centres = nn.Parameter(F.normalize(centres.float(), dim=1))
        self.temperature = temperature

    def forward(self, z: Tensor) -> Tensor:
        """W z + b, which is −‖z − μ_j‖²/τ + ‖z‖²/τ: [b, k]. The last term is the same for all j and leaves the softmax alone."""
        weight = 2 * self.centres / self.temperature
        bias = -self.centres.square().sum(1) / self.temperature
        return F.linear(z, weight, bias)

    def loss(self, z: Tensor) -> Tensor:
        """Σ_j a_ij ‖z_i − μ_j‖², mean over rows, a scalar. a is the softmax as τ → 0: 1 for the nearest centre."""
        nearest = self.centres[self(z.detach()).argmax(1)]
        return (z - nearest).square().sum(1).mean()

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Moves every centre by `rate` against the direction of its gradient, then back to length 1."""
        self.centres.copy_(F.normalize(self.centres - rate * F.normalize(self.centres.grad, dim=1), dim=1))


@dataclass
class TELL(Method):
    """Interpretable neural clustering, from a trained autoencoder."""

    card = Card(
        title="XAI Beyond Classification: Interpretable Neural Clustering",
        authors="Peng, Li, Tsang, Zhu, Lv, Zhou",
        year=2022,
        arxiv="1808.07292",
        told={"k"},
        tuned_on={"mnist", "mnist-test", "usps", "shapes", "digits"},
        tuning="the autoencoder's trials; then 2 weights, 0.01 and 0.1, on usps (1 seed, 40 epochs each)",
        parts={"autoencoder": "ae_kmeans"},
        schedule="3,000 epochs from random weights and centres",
        deviations=[
            "starts from a trained fully connected autoencoder and from k-means on its codes; the paper trains a convolutional "
            "one from random weights together with random centres",
            "the clustering loss weighs ten times as much as in the authors' code, since 40 epochs must do what 3,000 do there",
        ],
        settings={
            "smoke": {"epochs": 2},
            "quick": {"epochs": 20},
            "paper": {"epochs": 3000, "weight": 0.01},
        },
    )

    epochs: int = 40  # ours; the authors train 3,000
    batch_size: int = 256  # the authors' code
    lr: float = 1.0  # the authors' code: Adadelta's default
    rate: float = 0.1  # the authors' code: the length of a centre's step
    weight: float = 0.1  # ours; the authors' 0.001 a row is 0.01 for inputs of mean square 1, which ours are brought to
    temperature: float = 0.1  # τ; ours, of the soft assignments only: training takes τ → 0
    starts: int = 20  # ours: k-means restarts
    precision: str = "bf16"  # ours; codes and distances are float32

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Starts from the autoencoder and k-means, then alternates epochs of centres and of codes."""
        x = inputs.train
        self.network: Autoencoder = copy.deepcopy(run.parts["autoencoder"].network).to(run.device)
        length = through(self.network.encoder, x, flat).norm(dim=1).mean()
        with torch.no_grad():
            self.network.decoder[0].weight *= length  # codes now come with length 1
        centres, _ = kmeans(self.embed(x), k, run, starts=self.starts)
        self.layer = ClusterLayer(centres, self.temperature).to(run.device)
        self.network.train()
        optimiser = torch.optim.Adadelta(self.network.parameters(), lr=self.lr)
        for epoch in run.epochs(self.epochs):
            for rows in batches(len(x), self.batch_size, run.generator):
                vectors = flat(x[rows].to(run.device))
                z = self._codes(vectors, run)
                with autocast(self.precision, run.device):
                    decoded = self.network.decoder(z)
                reconstruction = F.mse_loss(decoded.float(), vectors * self.network.encoder.scale)
                centres_turn = epoch % 2 == 0
                clustering = self.layer.loss(z.detach() if centres_turn else z)
                optimiser.zero_grad()
                self.layer.zero_grad()
                (reconstruction + self.weight * clustering).backward()
                optimiser.step()
                if centres_turn:
                    self.layer.step(self.rate)
                run.log(reconstruction=reconstruction, clustering=clustering)
        self.network.eval()

    def _codes(self, vectors: Tensor, run: Run) -> Tensor:
        with autocast(self.precision, run.device):
            code = self.network.encoder(vectors)
        return F.normalize(code, dim=1)

    def embed(self, x: Tensor) -> Tensor:
        """Codes of length 1: [n, code] float32."""
        return F.normalize(through(self.network.encoder, x, flat), dim=1)

    def assign_soft(self, x: Tensor) -> Tensor:
        """The layer's softmax: [n, k] float32."""
        with torch.no_grad():
            return self.layer(self.embed(x).to(self.layer.centres.device)).softmax(1).to(x.device)

    def assign(self, x: Tensor) -> Tensor:
        """The nearest centre: [n] int64."""
        return self.assign_soft(x).argmax(1)
