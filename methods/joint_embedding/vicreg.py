"""VICReg: views agree, every feature keeps its variance, and no two features tell the same.

Bardes, Ponce, LeCun, "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning", ICLR 2022.
arXiv:2105.04906.
Idea: three plain terms, each on one batch: invariance between views, a hinge on each feature's standard deviation, and
covariances brought to zero.
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
class VICReg(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="VICReg",
        authors="Bardes, Ponce, LeCun",
        year=2022,
        arxiv="2105.04906",
        told={"augmentations"},
        tuned_on={"imagenet"},
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1},
            "quick": {"epochs": 25},
            "paper": {"epochs": 1000, "batch": 512, "warm_up": 10, "backbone": "resnet18"},
        },
        schedule="1000 epochs on ImageNet, ResNet-50, batches of 2048",
        deviations=(
            "a small convolutional network in place of ResNet-50, except at budget paper: ResNet-18",
            "AdamW in place of LARS; an expander of 512 units in place of 8192",
            "one preset of views for all methods of this family: crops of half the image or more",
        ),
    )

    hidden: int = 512  # ours; the paper has 8192
    projection: int = 512  # ours; the paper has 8192
    invariance: float = 25.0  # λ (section 4.2)
    variance: float = 25.0  # μ
    covariance: float = 1.0  # ν
    gamma: float = 1.0  # the standard deviation that each feature is held at
    tiny: float = 1e-4  # ε of equation 2

    def heads(self, width: int) -> nn.Module:
        """An expander of three layers (section 4.2)."""
        self.projector = projector(width, self.hidden, self.projection, layers=3)
        return self.projector

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Equation 6, λ s(Z, Z') + μ (v(Z) + v(Z')) + ν (c(Z) + c(Z')), with s over features and μ halved as the authors do."""
        z1, z2 = (self.outputs(nn.Sequential(self.network, self.projector), view) for view in views)
        spread = variance(z1, self.gamma, self.tiny) + variance(z2, self.gamma, self.tiny)
        shared = covariance(z1) + covariance(z2)
        return self.invariance * F.mse_loss(z1, z2) + self.variance / 2 * spread + self.covariance * shared


def variance(z: Tensor, gamma: float, tiny: float) -> Tensor:
    """Equation 1 of z [b, d]: how far features' standard deviations lie below gamma, mean over features, a scalar."""
    return F.relu(gamma - (z.var(0) + tiny).sqrt()).mean()


def covariance(z: Tensor) -> Tensor:
    """Equations 3 and 4 of z [b, d]: squared covariances between features, over the number of features, a scalar."""
    c = torch.cov(z.T)
    return (c.square().sum() - c.diagonal().square().sum()) / len(c)
