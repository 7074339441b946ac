"""ODC: DeepCluster without turns; labels and centres live in memories that change a little with every step.

Zhan, Xie, Liu, Ong, Loy, "Online Deep Clustering for Unsupervised Representation Learning", CVPR 2020. arXiv:2006.10645.
Idea: each image in a batch is relabelled at once by the nearest centre, so labels and classifier evolve together and the
classifier never starts anew. Small clusters are dissolved and large ones split, and small ones weigh more in the loss.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Card
from methods.parts.batches import through
from methods.parts.clusters import Memory, lloyd, means, nearest, whitened
from methods.parts.encoders import projector
from methods.parts.engine import FromViews
from methods.run import Run


@dataclass
class ODC(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="ODC: online deep clustering",
        authors="Zhan, Xie, Liu, Ong, Loy",
        year=2020,
        arxiv="2006.10645",
        told={"augmentations"},
        tuned_on={"imagenet", "mnist-test"},
        tuning="ours: eight trials of 8 to 15 epochs on mnist-test or a quarter of it: first labels, and how long they stand",
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1, "clusters": 8, "every": 1, "still": 1},
            "quick": {"epochs": 25},
            "paper": {"epochs": 440, "batch": 512, "warm_up": 0, "backbone": "resnet18", "clusters": 1000},
        },
        schedule="440 epochs on ImageNet, ResNet-50, batches of 512",
        deviations=(
            "a small convolutional network in place of ResNet-50, except at budget paper: ResNet-18",
            "AdamW in place of SGD with steps; 100 clusters in place of 10,000; a cluster is small below 0.15 of an equal share, "
            "as the authors' 20 images of 128",
            "the first labels are clusters of whitened features and stand for five epochs: an epoch here has 39 steps. "
            "With k-means on the random neck's features, as the authors', kNN after 15 epochs was an untrained network's; with "
            "labels that change at once it was 0.85 in place of 0.94 on a quarter of mnist-test",
            "one preset of views for all methods of this family: crops of half the image or more",
        ),
    )

    hidden: int = 256  # ours, twice the backbone's width; the authors' code has 512
    projection: int = 128  # ours; the authors' code has 256
    clusters: int = 100  # ours, ten times the classes of most sets, as in the paper
    part: float = 0.5  # of a new feature in the memory; the authors' code
    every: int = 10  # steps from one change of the centres to the next; the authors' code
    still: int = 5  # ours: epochs with the first labels
    components: int = 64  # ours, as DeepCluster's here; of the first labels
    small: float = 0.15  # of an equal share; the authors' code: 20 of 128
    power: float = 0.5  # of a cluster's size, in its weight; the authors' code

    def heads(self, width: int) -> list[nn.Module]:
        """A neck, whose output the memory holds, and a linear classifier."""
        self.neck = projector(width, self.hidden, self.projection)
        self.classifier = nn.Linear(self.projection, self.clusters)
        return [self.neck, self.classifier]

    def begin(self, x: Tensor, run: Run) -> None:
        """The samples' memory (features, labels) and the centroids'."""
        self.memory = Memory(
            rows=torch.zeros(len(x), self.projection),
            labels=torch.zeros(len(x), dtype=torch.long),
            centres=torch.zeros(self.clusters, self.projection),
        )

    def before_epoch(self, epoch: int, x: Tensor, run: Run) -> None:
        """Only before the first: the random network's features, and labels as DeepCluster's first ones."""
        self._run, self._steps, self._still = run, 0, epoch < self.still
        if epoch == 0:
            # Batch norm takes each batch's statistics, as in training; its running ones mean nothing yet.
            with torch.no_grad():
                z = torch.cat([self.outputs(nn.Sequential(self.network, self.neck), part) for part in x.split(self.batch)])
            self.memory.rows.copy_(F.normalize(z, dim=1))
            start = whitened(through(self.network, x, Tensor.float), self.components)
            self.memory.labels.copy_(lloyd(start, self.clusters, run, iterations=20)[1])
            self._renew()

    def draw(self, images: Tensor, run: Run) -> list[Tensor]:
        """One view."""
        return [self.look(images.shape[1])(images, run.generator)]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Cross-entropy with the memory's labels, weighted."""
        z = self.outputs(nn.Sequential(self.network, self.neck), views[0])
        self._seen = rows.to(z.device), z.detach()
        weights = weight(self.memory.labels.bincount(minlength=self.clusters), self.power)
        return F.cross_entropy(self.outputs(self.classifier, z), self.memory.labels[rows], weight=weights)

    def stepped(self, done: float) -> None:
        """Features of the batch change at once, and so do labels (equations 1 and 2); centres from time to time."""
        rows, z = self._seen
        held = self.memory.rows[rows]
        self.memory.rows[rows] = F.normalize((1 - self.part) * held + self.part * F.normalize(z, dim=1), dim=1)
        if not self._still:
            self.memory.labels[rows] = nearest_direction(self.memory.rows[rows], self.memory.centres)
        self._steps += 1
        if self._steps % self.every == 0:
            self._renew()

    def _renew(self) -> None:
        """Centres from the memory; then small clusters are dissolved and large ones split."""
        memory = self.memory
        memory.labels.copy_(regrouped(memory.rows, memory.labels, self.clusters, self.small, self._run))
        memory.centres.copy_(means(memory.rows, memory.labels, self.clusters)[0])


def nearest_direction(rows: Tensor, centres: Tensor) -> Tensor:
    """Of each row [b, d] the centre [k, d] with the largest inner product (equation 2): [b] int64."""
    return (rows @ centres.T).argmax(1)


def weight(counts: Tensor, power: float) -> Tensor:
    """Weights [k] of clusters of sizes counts [k] int64, proportional to size^−power, 0 for empty ones; their sum is 1."""
    weights = torch.where(counts > 0, counts.clamp(min=1).float() ** -power, 0.0)
    return weights / weights.sum()


def regrouped(rows: Tensor, labels: Tensor, k: int, small: float, run: Run) -> Tensor:
    """Labels [n] int64 with no empty cluster: members of small clusters join the nearest other one, then the largest is split.

    rows: [n, d] of length one; small: the part of an equal share below which a cluster is small.
    """
    labels = labels.clone()
    centres, counts = means(rows, labels, k)
    tiny = counts < max(1.0, small * len(rows) / k)
    lost = tiny[labels]
    kept = (~tiny).nonzero()[:, 0]
    labels[lost] = kept[nearest_direction(rows[lost], centres[kept])]
    for empty in tiny.nonzero()[:, 0]:
        members = (labels == labels.bincount(minlength=k).argmax()).nonzero()[:, 0]
        if len(members) < 2:
            break  # fewer rows than clusters
        halves = nearest(rows[members], lloyd(rows[members], 2, run, iterations=10)[0])
        if halves.unique().numel() < 2:
            halves = torch.arange(len(members), device=rows.device) % 2
        labels[members[halves == 1]] = empty
    return labels
