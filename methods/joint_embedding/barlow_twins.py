"""Barlow Twins: the features of two views agree one by one, and tell different things.

Zbontar, Jing, Misra, LeCun, Deny, "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", ICML 2021.
arXiv:2103.03230.
Idea: the cross-correlation matrix between the features of two views of a batch is brought to the identity.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from methods.base import Card
from methods.parts.encoders import projector
from methods.parts.engine import FromViews
from methods.parts.redundancy import barlow, correlation


@dataclass
class BarlowTwins(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="Barlow Twins",
        authors="Zbontar, Jing, Misra, LeCun, Deny",
        year=2021,
        arxiv="2103.03230",
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
            "AdamW in place of LARS; a projector of 512 units in place of 8192",
            "one preset of views for all methods of this family: crops of half the image or more",
        ),
    )

    hidden: int = 512  # ours; the paper has 8192
    projection: int = 512  # ours; the paper has 8192
    trade: float = 5e-3  # λ (section 2.2)

    def heads(self, width: int) -> nn.Module:
        """A projector of three layers (section 2.2)."""
        self.projector = projector(width, self.hidden, self.projection, layers=3)
        return self.projector

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Equation 1, over the number of features."""
        c = correlation(*(self.outputs(nn.Sequential(self.network, self.projector), view) for view in views))
        return barlow(c, self.trade) / len(c)
