"""Decoupled uniformity: the means of images' views are spread over the ball; that views agree follows by itself.

Dufumier, Barbano, Louiset, Duchesnay, Gori, "Integrating Prior Knowledge in Contrastive Learning with Kernel", ICML 2023.
arXiv:2206.01646.
Idea: repulsion acts between centroids of views, not between views, so that no image repels itself. A centroid is far out
only where its views agree.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Card
from methods.parts.encoders import projector
from methods.parts.engine import FromViews


@dataclass
class DecoupledUniformity(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="Decoupled uniformity",
        authors="Dufumier, Barbano, Louiset, Duchesnay, Gori",
        year=2023,
        arxiv="2206.01646",
        varies="simclr",
        told={"augmentations"},
        tuned_on={"cifar10", "cifar100", "stl10", "imagenet"},
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1},
            "quick": {"epochs": 25},
            "paper": {"epochs": 400, "warm_up": 10, "backbone": "resnet18"},
        },
        schedule="400 epochs on CIFAR, ResNet-18, batches of 256",
        deviations=(
            "without the kernel of a generative model's prior: the plain centroids",
            "a small convolutional network in place of ResNet-18, except at budget paper",
            "AdamW in place of LARS",
            "one preset of views for all methods of this family: crops of half the image or more",
        ),
    )

    hidden: int = 256  # ours, twice the backbone's width, as SimCLR here
    projection: int = 128

    def heads(self, width: int) -> nn.Module:
        """The projector."""
        self.projector = projector(width, self.hidden, self.projection)
        return self.projector

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Decoupled uniformity of the views' centroids; no temperature, no second term."""
        whole = nn.Sequential(self.network, self.projector)
        x, y = F.normalize(self.outputs(whole, torch.cat(views)), dim=1).chunk(2)
        return decoupled((x + y) / 2)


def decoupled(centroids: Tensor) -> Tensor:
    """log of the mean of exp(−‖μ_i − μ_j‖²) over pairs of different centroids [b, d]: a scalar."""
    return F.pdist(centroids).square().neg().exp().mean().log()
