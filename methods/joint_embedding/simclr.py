"""SimCLR: pulls two views of an image together and pushes the views of all other images away.

Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.
arXiv:2002.05709.
Idea: a network that can tell from one random view which of many others shows the same image has learned what the views
keep and forgotten what they change. The embedding is the backbone's; the projector serves the loss alone.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from methods.base import Card
from methods.parts.contrast import nt_xent
from methods.parts.encoders import projector
from methods.parts.engine import FromViews


@dataclass
class SimCLR(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="SimCLR",
        authors="Chen, Kornblith, Norouzi, Hinton",
        year=2020,
        arxiv="2002.05709",
        told={"augmentations"},
        tuned_on={"cifar10", "shapes", "digits", "mnist-test"},
        tuning="ours: 17 trials, 14 on shapes, 2 on digits, 1 on mnist-test; 6 backbones, 3 smallest crops, 2 temperatures, "
        "2 rotations, 2 jitters; some while shapes itself was being drawn. CIFAR-10 by the authors",
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1},
            "quick": {"epochs": 25},
            "paper": {"epochs": 1000, "batch": 512, "warm_up": 10, "backbone": "resnet18"},
        },
        schedule="1000 epochs on CIFAR-10, ResNet-50 with a small stem, batches of 256 to 4096 (appendix B.9)",
        deviations=(
            "a small convolutional network in place of ResNet-50, except at budget paper: ResNet-18",
            "AdamW in place of LARS",
            "crops of half the image or more, not 0.08, since figures and digits fill theirs; a small rotation, for grey "
            "images a slant too; grey images are not mirrored",
            "hue turns the chroma plane of YIQ, and colours are clamped once, at the end",
        ),
    )

    epochs: int = 50  # ours, for 6 CPU minutes at most at n = 10,000
    batch: int = 256  # the paper's smallest (appendix B.9)
    lr: float = 2e-3  # ours, for AdamW
    weight_decay: float = 1e-4  # ours, for AdamW; the paper's 1e-6 is for LARS
    warm_up: int = 3  # epochs; ours, the paper has 10 of 1000
    temperature: float = 0.5  # the paper's best on CIFAR-10 (appendix B.9)
    hidden: int = 256  # ours, twice the backbone's width; the paper has the width itself, 2048
    projection: int = 128  # section 2.1 and appendix B
    layers: int = 2  # of the projector (section 2.1); 3 is that of SimCLR v2 (arXiv 2006.10029)

    def heads(self, width: int) -> nn.Module:
        """The projector g of section 2.1."""
        self.projector = projector(width, self.hidden, self.projection, layers=self.layers)
        return self.projector

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """The loss of algorithm 1; batch norm sees both views together."""
        z1, z2 = self.outputs(nn.Sequential(self.network, self.projector), torch.cat(views)).chunk(2)
        return nt_xent(z1, z2, self.temperature)
