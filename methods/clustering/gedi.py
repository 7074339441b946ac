"""GEDI: one network that says the cluster of an image and how likely the image is.

Sansone, Manhaeve, "Unifying Self-Supervised Clustering and Energy-Based Models", TMLR 2025. arXiv:2401.00873.
Idea: logits f(x) are a joint model p(x, y) ∝ exp f_y(x). A lower bound of its likelihood asks three things: images are likely,
their views are of one cluster, surely, and clusters are as frequent as a prior says. The last two alone cluster; with the first,
clusters follow where the data lie.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from datasets.base import Inputs
from methods.base import Card
from methods.parts.clusters import Memory
from methods.parts.heads import ClustersFromViews, Heads, linear_head
from methods.run import Run


@dataclass
class GEDI(ClustersFromViews):
    """`embed` gives the backbone's output."""

    card = Card(
        title="GEDI: generative and discriminative training",
        authors="Sansone, Manhaeve",
        year=2025,
        arxiv="2401.00873",
        told={"k", "augmentations"},
        tuned_on={"svhn", "cifar10", "cifar100", "mnist-test"},
        tuning="ours: some ten runs on two moons: weights, range of samples; seven of at most six epochs on a long-tailed "
        "part of mnist-test: norms; eight of at most twelve on all of it. With "
        "running statistics for samples their log density goes to −5,000, or, with its square punished, ACC stays at 0.11: "
        "the network shifts means against old statistics. With statistics in common: 0.84, and 0.88 without the energy term",
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1, "samples": 8, "steps": 2, "held": 64},
            "quick": {"epochs": 6},
            "paper": {"epochs": 100, "batch": 64, "lr": 1e-4, "samples": 64, "steps": 20, "backbone": "resnet18"},
        },
        schedule="CIFAR-10, ResNet-8, batches of 64, 20 steps of Langevin dynamics, a buffer of 10,000",
        deviations=(
            "a small convolutional network in place of ResNet-8, except at budget paper: ResNet-18",
            "AdamW with warm-up and a cosine, in fewer and larger steps; 64 samples for a batch of 256, by ten steps",
            "the head sees features of variance one; on features as they are it says the same of all for six epochs",
            "samples begin as images with noise, not as noise; they are kept within the range of pixels",
            "the squares of log densities are punished, as in Du and Mordatch, arXiv:1903.08689: ten steps don't reach the data",
            "batch norm, with statistics that views and samples share, where the paper has none: with group norm features shrank "
            "to one point in 40 steps",
            "one preset of views for all methods on views",
        ),
    )

    epochs: int = 24  # ours
    generative: float = 1.0  # weight of the energy term; 0 leaves what clusters only
    invariance: float = 5.0  # weight of the views' agreement; ours
    prior: float = 10.0  # weight of the clusters' prior; ours
    samples: int = 64  # that a step takes further and learns from; ours
    steps: int = 10  # of Langevin dynamics; ours, the paper has 20
    stride: float = 1.0  # α: of a step along the gradient
    noise: float = 0.01  # of a step
    held: int = 10000  # samples in the buffer
    fresh: float = 0.05  # the part of samples that begin anew
    disturbed: float = 0.3  # the noise on an image that a sample begins as; ours
    bound: float = 0.1  # weight of the squares of log densities; ours

    def heads(self, width: int) -> nn.Module:
        """One linear head, whose logits are the joint model's."""
        self.clusterers = Heads([linear_head(width, self._k)])
        return self.clusterers

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Trains; the buffer isn't kept."""
        super().fit(inputs, k, run)
        del self.memory

    def begin(self, x: Tensor, run: Run) -> None:
        """The buffer of samples: images with noise."""
        rows = torch.randint(len(x), (self.held,), generator=run.generator)
        self.memory = Memory(samples=self._disturbed(x[rows.to(x.device)]))

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Minus the lower bound: what is likely, invariance, prior; and the log densities' squares."""
        network = nn.Sequential(self.network, self.clusterers.each[0])
        samples = self._sampled(network, views[1]) if self.generative else views[0][:0]
        said, of_samples = self.outputs(network, torch.cat([*views, samples])).split([2 * len(views[0]), len(samples)])
        loss = self.invariance * invariance(*said.chunk(2)) + self.prior * uniformity(said)
        if self.generative:
            real, made = log_density(said), log_density(of_samples)
            loss = loss - self.generative * (real.mean() - made.mean())
            loss = loss + self.bound * (real.square().mean() + made.square().mean()) / 2
        return loss

    def _sampled(self, network: nn.Module, images: Tensor) -> Tensor:
        """Samples [s, c, h, w] from the buffer after some steps of Langevin dynamics, a few of which began anew as `images`."""
        buffer = self.memory.samples
        places = torch.randint(len(buffer), (min(self.samples, len(buffer), len(images)),), device=buffer.device)
        x = buffer[places]
        anew = torch.rand(len(x), device=x.device) < self.fresh
        x[anew] = self._disturbed(images[: len(x)][anew])
        network.eval()  # running statistics: a step is along the gradient of one sample's density
        for _ in range(self.steps):
            x.requires_grad_(True)
            (uphill,) = torch.autograd.grad(log_density(self.outputs(network, x)).sum(), x)
            x = (x.detach() + self.stride * uphill + self.noise * torch.randn_like(x)).clamp(0, 1)
        network.train()
        buffer[places] = x
        return x

    def _disturbed(self, images: Tensor) -> Tensor:
        """Images with noise, within the range of pixels."""
        return (images + self.disturbed * torch.randn_like(images)).clamp(0, 1)


def log_density(said: Tensor) -> Tensor:
    """log p(x) up to a constant, log Σ_y exp f_y(x), of logits [b, k]: [b]."""
    return said.logsumexp(1)


def invariance(said: Tensor, other: Tensor) -> Tensor:
    """Cross-entropy between the clusters of two views, logits [b, k] each, both ways: a scalar; 0 where both agree, surely."""
    p, q = said.softmax(1), other.softmax(1)
    return -(q * said.log_softmax(1) + p * other.log_softmax(1)).sum(1).mean() / 2


def uniformity(said: Tensor) -> Tensor:
    """Cross-entropy of the uniform prior and the mean of predictions, logits [b, k]: a scalar, log k where all are used alike."""
    return -(said.log_softmax(1).logsumexp(0) - torch.tensor(float(len(said))).log()).mean()
