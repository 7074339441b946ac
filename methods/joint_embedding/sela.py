"""SeLa: labels that fit the network's own predictions best, among all labellings that use every cluster alike.

Asano, Rupprecht, Vedaldi, "Self-labelling via simultaneous clustering and representation learning", ICLR 2020.
arXiv:1911.05371.
Idea: clustering and learning minimise one loss, the cross-entropy. Over labels alone it would be least where all are the
same; with equal shares demanded it is a problem of optimal transport, which Sinkhorn-Knopp solves for the whole set.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Card
from methods.parts.batches import through
from methods.parts.clusters import Memory, lloyd, whitened
from methods.parts.engine import FromViews
from methods.parts.heads import linear_head
from methods.parts.transport import sinkhorn
from methods.run import Run


@dataclass
class SeLa(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="SeLa",
        authors="Asano, Rupprecht, Vedaldi",
        year=2020,
        arxiv="1911.05371",
        told={"augmentations"},
        tuned_on={"imagenet", "cifar10", "mnist-test"},
        tuning="ours: ten trials of 10 to 15 epochs on mnist-test or a quarter of it: first labels, and when they change; two of "
        "20 epochs, without and with features brought to variance 1",
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1, "clusters": 8, "labellings": 2, "still": 1},
            "quick": {"epochs": 25, "labellings": 4},
            "paper": {"epochs": 400, "warm_up": 0, "backbone": "resnet18"},
        },
        schedule="400 epochs on CIFAR-10, AlexNet, ten labellings, batches of 256",
        deviations=(
            "a small convolutional network in place of AlexNet, except at budget paper: ResNet-18",
            "AdamW in place of SGD with steps",
            "the first labels are clusters of whitened features, evened out, and stand for five epochs; the authors begin with "
            "random ones, with which the labels' NMI with classes is 0.43 after 12 epochs on mnist-test (with "
            "heads on features as they are)",
            "all ten labellings change every third epoch, the authors' one at a time; predictions are of whole images, not views",
            "one preset of views for all methods of this family: crops of half the image or more",
            "the linear layer sees features of variance one; without, kNN on mnist-test is 0.961 after 20 epochs, not 0.970",
        ),
    )

    clusters: int = 128  # the paper, on CIFAR
    labellings: int = 10  # the paper, on CIFAR: heads, each with labels of its own
    still: int = 5  # ours: epochs with the first labels
    every: int = 3  # ours: epochs from one change of the labels to the next
    components: int = 64  # ours, as DeepCluster's here; of the first labels
    sharpness: float = 10.0  # λ; the authors' code, on CIFAR
    iterations: int = 40  # of Sinkhorn-Knopp; ours

    def heads(self, width: int) -> nn.Module:
        """All linear heads as one layer."""
        self.classifier = linear_head(width, self.labellings * self.clusters)
        return self.classifier

    def begin(self, x: Tensor, run: Run) -> None:
        """The labels of all heads."""
        self.memory = Memory(labels=torch.zeros(self.labellings, len(x), dtype=torch.long))

    def before_epoch(self, epoch: int, x: Tensor, run: Run) -> None:
        """At chosen epochs, new labels for all heads."""
        if epoch and (epoch < self.still or (epoch - self.still) % self.every):
            return
        features = through(self.network, x, Tensor.float)
        if epoch == 0:
            start = whitened(features, self.components)
            labels = [self._first(start, run) for _ in range(self.labellings)]
        else:
            scores = through(self.classifier, features, Tensor.float).split(self.clusters, dim=1)
            labels = [fair_labels(own, self.sharpness, self.iterations) for own in scores]
        self.memory.labels.copy_(torch.stack(labels))

    def _first(self, z: Tensor, run: Run) -> Tensor:
        """Clusters of whitened features z [n, c], as DeepCluster's, but in equal shares: [n] int64."""
        centres, _ = lloyd(z, self.clusters, run, iterations=20, spherical=True)
        return sinkhorn(z @ centres.T, epsilon=0.01, iterations=self.iterations).argmax(1)

    def draw(self, images: Tensor, run: Run) -> list[Tensor]:
        """One view."""
        return [self.look(images.shape[1])(images, run.generator)]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Cross-entropy with each head's labels, averaged over heads."""
        said = self.outputs(nn.Sequential(self.network, self.classifier), views[0])
        return F.cross_entropy(said.view(-1, self.clusters), self.memory.labels[:, rows].T.flatten())


def fair_labels(scores: Tensor, sharpness: float, iterations: int) -> Tensor:
    """Labels [n] int64 in nearly equal shares, for a head's scores [n, k].

    Q = diag(α) P^λ diag(β) with P = softmax(scores) is the plan for log P at an entropy of weight 1/λ.
    """
    return sinkhorn(scores.log_softmax(1), epsilon=1 / sharpness, iterations=iterations).argmax(1)
