"""BYOL: predicts a slow copy's view of an image from another view; no image is pushed away from any other.

Grill et al., "Bootstrap Your Own Latent: A New Approach to Self-Supervised Learning", NeurIPS 2020. arXiv:2006.07733.
Idea: an online network with a predictor on top learns what a target network, its moving average, makes of the other view.
The predictor, and that no gradient enters the target, keep both from falling to a constant.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from methods.base import Card
from methods.parts.encoders import projector
from methods.parts.engine import FromViews, cosine
from methods.parts.teacher import Teacher, momentum


@dataclass
class BYOL(FromViews):
    """`embed` gives the online backbone's output; clusters come from k-means on it."""

    card = Card(
        title="BYOL",
        authors="Grill, Strub, Altché, Tallec, Richemond, et al.",
        year=2020,
        arxiv="2006.07733",
        told={"augmentations"},
        tuned_on={"imagenet"},
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1},
            "quick": {"epochs": 25},
            "paper": {"epochs": 1000, "batch": 512, "warm_up": 10, "backbone": "resnet18"},
        },
        schedule="1000 epochs on ImageNet, ResNet-50, batches of 4096",
        deviations=(
            "a small convolutional network in place of ResNet-50, except at budget paper: ResNet-18",
            "AdamW in place of LARS; the target's momentum starts at 0.98, since training is far shorter",
            "one preset of views for all methods of this family: crops of half the image or more",
        ),
    )

    hidden: int = 512  # ours; the paper has 4096 on ResNet-50
    projection: int = 128  # ours; the paper has 256
    tau: float = 0.98  # ours, at the start; the paper has 0.996 over 1000 epochs

    def heads(self, width: int) -> list[nn.Module]:
        """Projector and predictor of the online network; the target is a copy of all but the predictor."""
        self.projector = projector(width, self.hidden, self.projection)
        self.predictor = projector(self.projection, self.hidden, self.projection)
        self.target = Teacher(nn.Sequential(self.network, self.projector))
        return [self.projector, self.predictor]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """The symmetric loss: equation 2, 2 − 2·cos, for both views as the online one."""
        online = nn.Sequential(self.network, self.projector, self.predictor)
        p1, p2 = (self.outputs(online, view) for view in views)
        t1, t2 = (self.outputs(self.target, view) for view in views)
        return 4 - 2 * cosine(p1, t2) - 2 * cosine(p2, t1)

    def stepped(self, done: float) -> None:
        """The target follows: ξ ← τξ + (1 − τ)θ."""
        self.target.follow(nn.Sequential(self.network, self.projector), momentum(self.tau, done))
