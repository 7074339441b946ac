"""SimSiam: two views, one network, a predictor on one side and a stopped gradient on the other; nothing else.

Chen, He, "Exploring Simple Siamese Representation Learning", CVPR 2021. arXiv:2011.10566.
Idea: BYOL without the moving average: that no gradient flows into the predicted side is what keeps it from collapse.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from methods.base import Card
from methods.parts.encoders import projector
from methods.parts.engine import FromViews, cosine


@dataclass
class SimSiam(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="SimSiam",
        authors="Chen, He",
        year=2021,
        arxiv="2011.10566",
        told={"augmentations"},
        tuned_on={"imagenet", "cifar10"},
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1},
            "quick": {"epochs": 25},
            "paper": {"epochs": 800, "batch": 512, "warm_up": 10, "backbone": "resnet18"},
        },
        schedule="800 epochs on CIFAR-10, ResNet-18, batches of 512 (appendix D)",
        deviations=(
            "a small convolutional network in place of ResNet-18, except at budget paper",
            "AdamW with one schedule for all weights in place of SGD with a constant rate for the predictor",
            "one preset of views for all methods of this family: crops of half the image or more",
        ),
        findings=(
            "on fashion-mnist-test its features fill fewer directions (effective rank 37 of 128, BYOL's 59), and their "
            "neighbours agree less in class than those of pixels; without looking at labels, seed 0: with a constant rate of the "
            "predictor the rank is 34 after 20 epochs, with ten times that rate 47 after 50, with SGD 40",
        ),
    )

    hidden: int = 512  # ours; the paper has 2048, the backbone's width
    bottleneck: int = 128  # the predictor's hidden layer, a quarter (section 3)

    def heads(self, width: int) -> list[nn.Module]:
        """A projector of two layers with batch norm at its output too (appendix D, CIFAR), and the predictor."""
        self.projector = nn.Sequential(projector(width, self.hidden, self.hidden), nn.BatchNorm1d(self.hidden, affine=False))
        self.predictor = projector(self.hidden, self.bottleneck, self.hidden)
        return [self.projector, self.predictor]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Equation 4: the negative cosine of prediction and the other view, whose gradient is stopped, both ways."""
        z1, z2 = (self.outputs(nn.Sequential(self.network, self.projector), view) for view in views)
        p1, p2 = (self.outputs(self.predictor, z) for z in (z1, z2))
        return -(cosine(p1, z2.detach()) + cosine(p2, z1.detach())) / 2
