"""DeepCluster-v2: recognises views by the clusters that k-means found, between epochs, in what views gave the epoch before.

Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", NeurIPS 2020, section 4 and
appendix. arXiv:2006.09882. It is their renewal of DeepCluster (arXiv:1807.05520).
Idea: the centres themselves are the classifier, so nothing is learned anew when clusters change. Several partitions at
once, each from the features of one of the two views, make the labels less a matter of chance.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Card
from methods.parts.clusters import Memory, lloyd
from methods.parts.encoders import projector
from methods.parts.engine import FromViews
from methods.run import Run


@dataclass
class DeepClusterV2(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="DeepCluster-v2",
        authors="Caron, Misra, Mairal, Goyal, Bojanowski, Joulin",
        year=2020,
        arxiv="2006.09882",
        told={"augmentations"},
        tuned_on={"imagenet", "mnist-test"},
        tuning="ours: partitions into 300 and 100 clusters, a trial of 15 epochs each on mnist-test: little between them",
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1, "clusters": 16, "partitions": 2},
            "quick": {"epochs": 25},
            "paper": {"epochs": 800, "warm_up": 10, "backbone": "resnet18", "clusters": 3000},
        },
        schedule="800 epochs on ImageNet, ResNet-50, batches of 4096, six small crops beside the two views",
        deviations=(
            "a small convolutional network in place of ResNet-50, except at budget paper: ResNet-18",
            "AdamW in place of LARS; three partitions into 100 clusters in place of 3000; no small crops",
            "one preset of views for all methods of this family: crops of half the image or more",
        ),
    )

    hidden: int = 256  # ours, twice the backbone's width
    projection: int = 128  # the authors' code
    clusters: int = 100  # ours; the paper has 3000 for 1000 classes
    partitions: int = 3  # the authors' code
    iterations: int = 10  # of k-means; the authors' code
    temperature: float = 0.1  # the authors' code

    def heads(self, width: int) -> nn.Module:
        """The projector; the classifiers are centres, which no gradient moves."""
        self.projector = projector(width, self.hidden, self.projection)
        return self.projector

    def begin(self, x: Tensor, run: Run) -> None:
        """Memories: of the two views' features, of every partition's labels and of its centres."""
        n, sets, k = len(x), self.partitions, min(self.clusters, len(x))
        self.memory = Memory(
            rows=torch.zeros(2, n, self.projection),
            labels=torch.zeros(sets, n, dtype=torch.long),
            centres=torch.zeros(sets, k, self.projection),
        )

    def before_epoch(self, epoch: int, x: Tensor, run: Run) -> None:
        """Spherical k-means, for each partition on the features that one of the views had in the last epoch."""
        if epoch == 0:
            for rows in torch.arange(len(x)).split(self.batch):
                with torch.no_grad():
                    self._remember(rows, self._projected(self.draw(x[rows], run)))
        for i in range(self.partitions):
            self.memory.centres[i], self.memory.labels[i] = lloyd(
                self.memory.rows[i % 2], self.clusters, run, iterations=self.iterations, spherical=True
            )

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Cross-entropy of both views with the image's label in each partition."""
        z = self._projected(views)
        self._seen = rows, z.detach()
        told = self.memory.labels[:, rows]
        ways = [classified(one, self.memory.centres[i], told[i], self.temperature) for one in z for i in range(len(told))]
        return torch.stack(ways).mean()

    def stepped(self, done: float) -> None:
        """The memory takes in what was seen, for the next epoch's clusters."""
        self._remember(*self._seen)

    def _projected(self, views: list[Tensor]) -> Tensor:
        """Projections of both views, of length one: [2, b, d]."""
        whole = nn.Sequential(self.network, self.projector)
        return torch.stack(F.normalize(self.outputs(whole, torch.cat(views)), dim=1).chunk(2))

    def _remember(self, rows: Tensor, z: Tensor) -> None:
        self.memory.rows[:, rows] = z


def classified(z: Tensor, centres: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of softmax(z·c / temperature) with labels [b]: a scalar. z: [b, d], centres: [k, d], of length one."""
    return F.cross_entropy(z @ centres.T / temperature, labels.to(z.device))
