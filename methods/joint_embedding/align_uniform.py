"""Alignment and uniformity: views of an image lie close together on the sphere, and images are spread all over it.

Wang, Isola, "Understanding Contrastive Representation Learning through Alignment and Uniformity on the Hypersphere",
ICML 2020. arXiv:2005.10242.
Idea: what a contrastive loss does with many negatives, said directly as two terms that can be weighed.
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
class AlignUniform(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="Alignment and uniformity",
        authors="Wang, Isola",
        year=2020,
        arxiv="2005.10242",
        told={"augmentations"},
        tuned_on={"stl10"},
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1},
            "quick": {"epochs": 25},
            "paper": {"epochs": 200, "batch": 768, "warm_up": 10, "backbone": "resnet18"},
        },
        schedule="200 epochs on STL-10, a small AlexNet, batches of 768",
        deviations=(
            "a small convolutional network in place of AlexNet, except at budget paper: ResNet-18",
            "AdamW in place of SGD; a projector of two layers, which the loss sees and the embedding doesn't",
            "one preset of views for all methods of this family: crops of half the image or more",
        ),
    )

    hidden: int = 256  # ours, twice the backbone's width
    projection: int = 128  # section 5.2
    alignment: float = 1.0  # weight of the first term (section 5.2)
    uniformity: float = 1.0  # weight of the second
    alpha: float = 2.0  # section 4.1
    t: float = 2.0  # section 4.1

    def heads(self, width: int) -> nn.Module:
        """The projector."""
        self.projector = projector(width, self.hidden, self.projection)
        return self.projector

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Both terms, uniformity as the mean over the two views (section 4.1, figure 5)."""
        whole = nn.Sequential(self.network, self.projector)
        x, y = F.normalize(self.outputs(whole, torch.cat(views)), dim=1).chunk(2)
        spread = (uniform(x, self.t) + uniform(y, self.t)) / 2
        return self.alignment * align(x, y, self.alpha) + self.uniformity * spread


def align(x: Tensor, y: Tensor, alpha: float) -> Tensor:
    """Mean ‖x_i − y_i‖^α over rows of length one [b, d], a scalar: equation of section 4.1.1."""
    return (x - y).norm(dim=1).pow(alpha).mean()


def uniform(x: Tensor, t: float) -> Tensor:
    """log of the mean of exp(−t ‖x_i − x_j‖²) over pairs of rows of length one [b, d], a scalar: section 4.1.2."""
    return F.pdist(x).square().mul(-t).exp().mean().log()
