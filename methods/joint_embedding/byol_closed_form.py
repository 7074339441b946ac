"""BYOL with a closed-form predictor: the linear map that predicts best is solved for, not trained.

Richemond, Tam, Tang, Strub, Piot, Hill, "The Edge of Orthogonality: A Simple View of What Makes BYOL Tick", ICML 2023.
arXiv:2302.04817.
Idea: the best linear predictor of the target is close to an orthogonal projection, which keeps the online features apart.
So one can do without training it: here it is the ridge regression of the target's features on the online ones.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Card
from methods.parts.clusters import Memory
from methods.parts.encoders import projector
from methods.parts.engine import FromViews, cosine
from methods.parts.teacher import Teacher, momentum


@dataclass
class ClosedFormBYOL(FromViews):
    """`embed` gives the online backbone's output; clusters come from k-means on it."""

    card = Card(
        title="BYOL with a closed-form predictor",
        authors="Richemond, Tam, Tang, Strub, Piot, Hill",
        year=2023,
        arxiv="2302.04817",
        varies="byol",
        told={"augmentations"},
        tuned_on={"imagenet"},
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1},
            "quick": {"epochs": 25},
            "paper": {"epochs": 300, "batch": 512, "warm_up": 10, "backbone": "resnet18"},
        },
        schedule="300 epochs on ImageNet, ResNet-50, batches of 4096",
        deviations=(
            "of the paper's four predictors the one by regression",
            "its correlations are averaged over the last steps, since a batch of 256 says little of 128 dimensions",
            "a small convolutional network in place of ResNet-50, except at budget paper: ResNet-18",
            "AdamW in place of LARS; the target's momentum starts at 0.98, since training is far shorter",
            "one preset of views for all methods of this family: crops of half the image or more",
        ),
    )

    hidden: int = 512  # as BYOL's here
    projection: int = 128  # as BYOL's here
    tau: float = 0.98  # as BYOL's here
    ridge: float = 0.1  # ours: of the mean eigenvalue of the online correlation
    kept: float = 0.9  # ours: the part of the correlations that stays from step to step

    def heads(self, width: int) -> nn.Module:
        """The online projector; the target, its slow copy; and the correlations the predictor is made of."""
        self.projector = projector(width, self.hidden, self.projection)
        self.target = Teacher(nn.Sequential(self.network, self.projector))
        own, other = (torch.zeros(self.projection, self.projection) for _ in range(2))
        self.correlations = Memory(own=own, other=other, weight=torch.zeros(()))
        return self.projector

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """BYOL's symmetric loss, 2 − 2·cos for both views as the online one; no gradient enters the predictor."""
        online = nn.Sequential(self.network, self.projector)
        z1, z2 = (F.normalize(self.outputs(online, view), dim=1) for view in views)
        t1, t2 = (F.normalize(self.outputs(self.target, view), dim=1) for view in views)
        predictor = self._solved(torch.cat([z1, z2]).detach(), torch.cat([t2, t1]))
        return 4 - 2 * cosine(z1 @ predictor, t2) - 2 * cosine(z2 @ predictor, t1)

    def _solved(self, z: Tensor, t: Tensor) -> Tensor:
        """The predictor [p, p] from the running correlations, after z and t [2b, p] have entered them."""
        held = self.correlations
        held.own.lerp_(z.T @ z / len(z), 1 - self.kept)
        held.other.lerp_(z.T @ t / len(z), 1 - self.kept)
        held.weight.lerp_(torch.ones_like(held.weight), 1 - self.kept)
        return regression(held.own / held.weight, held.other / held.weight, self.ridge)

    def stepped(self, done: float) -> None:
        """The target follows, as in BYOL."""
        self.target.follow(nn.Sequential(self.network, self.projector), momentum(self.tau, done))


def regression(own: Tensor, other: Tensor, ridge: float) -> Tensor:
    """W = (Z'Z + λI)⁻¹ Z'T, the least-squares map from online features to the target's: [p, p], to be multiplied from the right.

    own: Z'Z/n, other: Z'T/n, [p, p] each; λ/n is `ridge` times the mean eigenvalue of `own`.
    """
    p = len(own)
    return torch.linalg.solve(own + ridge * own.trace() / p * torch.eye(p, device=own.device), other)
