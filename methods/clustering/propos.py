"""ProPos: BYOL between an image's surroundings, and cluster means that are pushed apart.

Huang, Chen, Zhang, Shan, "Learning Representation for Clustering via Prototype Scattering and Positive Sampling", TPAMI 2022.
arXiv:2111.11821.
Idea: contrast pushes apart images of one class; BYOL has no such push, but nothing spreads its clusters. So only the means of
clusters, which k-means finds before each epoch, repel each other; and a view is matched with the other's surroundings.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.base import Inputs
from methods.base import Card
from methods.parts.batches import pixels, through
from methods.parts.clusters import Memory, nearest
from methods.parts.encoders import projector
from methods.parts.engine import FromViews, cosine
from methods.parts.kmeans import kmeans
from methods.parts.teacher import Teacher, momentum
from methods.run import Run


@dataclass
class ProPos(FromViews):
    """`assign` is by k-means on the target's projections; `embed` gives the online backbone's output."""

    card = Card(
        title="ProPos: prototype scattering and positive sampling",
        authors="Huang, Chen, Zhang, Shan",
        year=2022,
        arxiv="2111.11821",
        told={"k", "augmentations"},
        tuned_on={"cifar10", "cifar100-20", "imagenet-10", "mnist-test"},
        tuning="ours: one run of twelve epochs on mnist-test for the cost, one of 16 with scattering=1 and still=2, not taken",
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1, "still": 1},
            "quick": {"epochs": 12, "still": 3},
            "paper": {
                "epochs": 1000,
                "optimizer": "sgd",
                "lr": 0.05,
                "weight_decay": 5e-4,
                "warm_up": 50,
                "still": 50,
                "tau": 0.996,
                "backbone": "resnet18",
                "hidden": 4096,
                "projection": 256,
            },
        },
        schedule="1000 epochs on CIFAR-10, ResNet-18 or -34, batches of 512",
        deviations=(
            "a small convolutional network in place of ResNet-18, except at budget paper",
            "AdamW in far fewer steps in place of SGD, whose predictor has ten times the rate",
            "narrower projectors; the target's momentum starts at 0.98, as that of BYOL here",
            "one preset of views for all methods on views: crops of half the image or more",
        ),
    )

    epochs: int = 28  # ours
    hidden: int = 512  # ours; the authors' code has 4096
    projection: int = 128  # ours; the authors' code has 256
    tau: float = 0.98  # ours, at the start; the authors' code has 0.996
    spread: float = 0.001  # σ; the authors' code: of the surroundings
    scattering: float = 0.1  # the authors' code: the weight of prototype scattering
    temperature: float = 0.5  # the authors' code: of prototypes
    still: int = 5  # epochs without prototypes; ours, the authors' code has 50 of 1000
    starts: int = 1  # of k-means before an epoch; ours

    def build(self, shape: tuple[int, ...], k: int | None) -> None:
        """Backbone and heads for images of `shape` [c, h, w] and k clusters."""
        self._k = k
        super().build(shape, k)

    def heads(self, width: int) -> list[nn.Module]:
        """Projector and predictor of the online network; the target is a copy of all but the predictor."""
        self.projector = projector(width, self.hidden, self.projection)
        self.predictor = projector(self.projection, self.hidden, self.projection)
        self.target = Teacher(nn.Sequential(self.network, self.projector))
        return [self.projector, self.predictor]

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Trains; the centres are those of the trained target."""
        super().fit(inputs, k, run)
        del self.memory
        self.centres, _ = kmeans(self._projected(inputs.train), self._k, run, starts=10)

    def begin(self, x: Tensor, run: Run) -> None:
        """Clusters of all images."""
        self.memory = Memory(labels=torch.zeros(len(x), dtype=torch.long))

    def before_epoch(self, epoch: int, x: Tensor, run: Run) -> None:
        """The E-step: k-means of all images as the target projects them."""
        z = F.normalize(through(self.target, x, Tensor.float), dim=1)
        self.centres, labels = kmeans(z, self._k, run, starts=self.starts)
        self.memory.labels.copy_(labels)
        self._scatters = epoch >= self.still

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """The M-step: positive sampling alignment, and prototype scattering with its weight, each view in turn."""
        online = nn.Sequential(self.network, self.projector)
        z = [self.outputs(online, view) for view in views]
        t = [self.outputs(self.target, view) for view in views]
        around = [one + self.spread * torch.randn_like(one) for one in z]
        p = [self.outputs(self.predictor, one) for one in around]
        aligned = 4 - 2 * cosine(p[0], t[1]) - 2 * cosine(p[1], t[0])
        if not self._scatters:
            return aligned
        labels = self.memory.labels[rows]
        pairs = ((z[0], t[1]), (z[1], t[0]))
        scattered = [scattering(*(prototypes(one, labels, self._k) for one in pair), self.temperature) for pair in pairs]
        return aligned + self.scattering * torch.stack(scattered).sum()

    def stepped(self, done: float) -> None:
        """The target follows: ξ ← τξ + (1 − τ)θ."""
        self.target.follow(nn.Sequential(self.network, self.projector), momentum(self.tau, done))

    def _projected(self, x: Tensor) -> Tensor:
        """The target's projections of images x as they come, of length one: [n, projection]."""
        return F.normalize(through(self.target, x, pixels), dim=1)

    def assign_soft(self, x: Tensor) -> Tensor:
        """∝ exp(−‖z − μ‖²/2T) with the prototypes' temperature, which for rows of length one is ∝ exp(z·μ/T): [n, k] float32."""
        apart = torch.cdist(self._projected(x), self.centres.to(x.device))
        return (-apart.square() / (2 * self.temperature)).softmax(1)

    def assign(self, x: Tensor) -> Tensor:
        """The nearest centre: [n] int64."""
        return nearest(self._projected(x), self.centres.to(x.device))


def prototypes(z: Tensor, labels: Tensor, k: int) -> Tensor:
    """Means [k, d] of rows z [b, d] of length one, brought to length one; 0 for a cluster that has none. labels: [b] int64."""
    share = F.one_hot(labels, k).to(z.dtype)
    return F.normalize(share.T @ F.normalize(z, dim=1), dim=1)


def scattering(own: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Prototype scattering, of prototypes [k, d] of the online network and of the target's other view: a scalar.

    The mean over clusters c of −log exp(μ_c·μ'_c/T) / (exp(μ_c·μ'_c/T) + Σ_{j≠c} exp(μ_c·μ_j/T)); clusters without rows left out.
    """
    there = own.square().sum(1) > 0
    own, other = own[there], other[there]
    same = torch.eye(len(own), dtype=torch.bool, device=own.device)
    like = torch.where(same, own @ other.T, own @ own.T) / temperature
    return F.cross_entropy(like, torch.arange(len(own), device=own.device))
