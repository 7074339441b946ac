"""Contrastive clustering: contrasts images by the rows of the network's outputs, and clusters by the columns.

Li, Hu, Liu, Peng, Zhou, Peng, "Contrastive Clustering", AAAI 2021. arXiv:2009.09687.
Idea: the soft assignments of a batch are a matrix. A row represents an image, a column a cluster: the column must be like that
of the same cluster in another view and unlike all other clusters'.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from methods.base import Card
from methods.parts.contrast import nt_xent
from methods.parts.heads import ClustersFromViews, Heads


@dataclass
class CC(ClustersFromViews):
    """`assign` is by the cluster head; `embed` gives the backbone's output."""

    card = Card(
        title="Contrastive clustering",
        authors="Li, Hu, Liu, Peng, Zhou, Peng",
        year=2021,
        arxiv="2009.09687",
        told={"k", "augmentations"},
        tuned_on={"cifar10", "cifar100-20", "stl10", "imagenet", "mnist-test"},
        tuning="ours: three runs of at most 24 epochs on mnist-test: whether heads, or their hidden layers, normalise",
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1},
            "quick": {"epochs": 10},
            "paper": {"epochs": 1000, "lr": 3e-4, "weight_decay": 0.0, "warm_up": 0, "backbone": "resnet18"},
        },
        schedule="1000 epochs on CIFAR-10, ResNet-34 at 224 pixels, batches of 256",
        deviations=(
            "a small convolutional network in place of ResNet-34, except at budget paper: ResNet-18; images keep their size",
            "AdamW with warm-up and a cosine in place of Adam, in fewer and larger steps",
            "one preset of views for all methods on views: crops of half the image or more, no blur",
            "both heads see features of mean 0 and variance 1; without, ACC on mnist-test is 0.75 in place of 0.96",
        ),
    )

    epochs: int = 24  # ours
    temperature: float = 0.5  # section 4.2: of instances
    cluster_temperature: float = 1.0  # section 4.2
    projection: int = 128  # section 4.2: dimensions of the row space

    def heads(self, width: int) -> list[nn.Module]:
        """Two perceptrons of two layers: into the row space and, with a softmax, into the column space."""
        self.projector = perceptron(width, self.projection)
        self.clusterers = Heads([perceptron(width, self._k)])
        return [self.projector, self.clusterers]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Equation 8."""
        features = self.outputs(self.network, torch.cat(views))
        z = self.outputs(self.projector, features).chunk(2)
        p = self.outputs(self.clusterers, features)[0].softmax(1).chunk(2)
        return nt_xent(*z, self.temperature) + of_clusters(*p, self.cluster_temperature)


def perceptron(width: int, out: int) -> nn.Sequential:
    """[b, width] to [b, out]: features brought to mean 0 and variance 1, then one hidden layer."""
    return nn.Sequential(nn.BatchNorm1d(width, affine=False), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, out))


def of_clusters(p: Tensor, q: Tensor, temperature: float) -> Tensor:
    """Equation 7: NT-Xent of the columns of soft assignments p, q [b, k], minus the entropy of both views' sizes: a scalar."""
    entropy = sum(torch.special.entr(one.mean(0)).sum() for one in (p, q))
    return nt_xent(p.T, q.T, temperature) - entropy
