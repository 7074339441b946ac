"""NNCLR: SimCLR whose positive is not the other view but that view's nearest neighbour among earlier images.

Dwibedi, Aytar, Tompson, Sermanet, Zisserman, "With a Little Help from My Friends: Nearest-Neighbor Contrastive Learning
of Visual Representations", ICCV 2021. arXiv:2104.14548.
Idea: neighbours in a queue of embeddings show variety that no augmentation has.
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
from methods.parts.teacher import Queue


@dataclass
class NNCLR(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="NNCLR",
        authors="Dwibedi, Aytar, Tompson, Sermanet, Zisserman",
        year=2021,
        arxiv="2104.14548",
        told={"augmentations"},
        tuned_on={"imagenet"},
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1, "queue": 128},
            "quick": {"epochs": 25, "queue": 512},
            "paper": {"epochs": 1000, "batch": 512, "warm_up": 10, "backbone": "resnet18", "queue": 65536},
        },
        schedule="1000 epochs on ImageNet, ResNet-50, batches of 4096, a queue of 98,304",
        deviations=(
            "a small convolutional network in place of ResNet-50, except at budget paper: ResNet-18",
            "AdamW in place of LARS; a queue of 2,048, since it must be smaller than the set",
            "one preset of views for all methods of this family: crops of half the image or more",
        ),
    )

    hidden: int = 512  # ours; the paper has 2048
    projection: int = 128  # ours; the paper has 256
    queue: int = 2048  # ours
    temperature: float = 0.1  # section 4.1

    def heads(self, width: int) -> list[nn.Module]:
        """A projector of three layers, a predictor (section 4.1), and the support set."""
        self.projector = projector(width, self.hidden, self.projection, layers=3)
        self.predictor = projector(self.projection, self.hidden, self.projection)
        self.support = Queue(self.queue, self.projection)
        return [self.projector, self.predictor]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Equation 3 with the predictor, both ways; then the first view's embeddings enter the support set."""
        z1, z2 = (self.outputs(nn.Sequential(self.network, self.projector), view) for view in views)
        p1, p2 = (F.normalize(self.outputs(self.predictor, z), dim=1) for z in (z1, z2))
        z1, z2 = (F.normalize(z.detach(), dim=1) for z in (z1, z2))
        n1, n2 = (nearest(z, self.support.rows) for z in (z1, z2))
        self.support.put(z1)
        return (contrast(n1, p2, self.temperature) + contrast(n2, p1, self.temperature)) / 2


def nearest(z: Tensor, support: Tensor) -> Tensor:
    """Of each row of z [b, d] the nearest row of support [q, d], all of length one: [b, d] (equation 2)."""
    return support[(z @ support.T).argmax(1)]


def contrast(neighbours: Tensor, predictions: Tensor, temperature: float) -> Tensor:
    """Equation 3: each neighbour [b, d] has to find its own prediction [b, d] among all of the batch: a scalar."""
    logits = neighbours @ predictions.T / temperature
    return F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
