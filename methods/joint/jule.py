"""JULE: merges clusters and trains a convolutional network on the merged ones, in turn.

Yang, Parikh, Batra, "Joint Unsupervised Learning of Deep Representations and Image Clusters", CVPR 2016. arXiv:1604.03628.
Idea: agglomerative clustering is read as a recurrent process. Forward, the closest clusters of the network's features merge;
backward, a triplet loss draws the rows of a cluster together and pushes other clusters away. Few clusters are left at the end.
Deviates: see the card.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import autocast, flat, pixels, through
from methods.parts.encoders import image_shape
from methods.parts.linkage import chained, merged
from methods.run import Run


@dataclass
class JULE(Method):
    """Labels are those of the fitted rows; `embed` takes new ones too."""

    card = Card(
        title="Joint Unsupervised Learning of Deep Representations and Image Clusters",
        authors="Yang, Parikh, Batra",
        year=2016,
        arxiv="1604.03628",
        told={"k"},
        tuned_on={"usps", "mnist-test", "coil20", "coil100"},
        tuning="2 trials on mnist-test (8 epochs a round in batches of 200, 5 in batches of 100; 1 seed) and 9 on 2,000 of "
        "its rows (lengths, rates, batches, γ, rules for crumbs)",
        modalities={"image"},
        tracks={"transductive"},
        max_n=20000,
        schedule="20 epochs after each of some four rounds of merges, batch 100",
        deviations=[
            "clusters start as chains of nearest neighbours of unit-length pixels, as in the authors' solver; merges are exact, "
            "not by its fast approximation",
            "batches hold groups of five rows of one cluster; plain ones hardly hold a pair of a cluster of four",
            "5 epochs a round, bf16 in the network; the loss is the authors' solver's: distances, margin, random negatives",
            "a cluster under a twentieth of the average size, or a small one tied to none, is first merged, with the nearest; "
            "on the same features of mnist-test (1 seed) ACC is 0.967 so and 0.697 without, with three clusters of 2 or 3 rows",
        ],
        settings={
            "smoke": {"epochs": 1, "width": 8, "features": 16, "batch_size": 40},
            "quick": {"epochs": 2, "width": 16},
            "paper": {"epochs": 20},
        },
    )

    neighbours: int = 20  # the authors' solver: K_s
    a: float = 1.0  # the authors' solver: scale of the affinity
    local: int = 5  # the authors' solver: K_c
    trade: float = 1.0  # the authors' solver: λ
    unroll: float = 0.9  # the authors' solver: η, the part of the clusters that a round merges
    weight: float = 1.0  # the authors' solver: γ, of the positive pair
    margin: float = 0.2  # the authors' solver
    negatives: int = 20  # the authors' solver: for each positive pair
    width: int = 50  # the authors' network: channels
    features: int = 160  # the authors' network
    epochs: int = 5  # ours, a round; the authors train 20
    batch_size: int = 100  # the authors' solver
    together: int = 5  # ours: rows of one cluster that a batch holds at least, where there are as many
    lr: float = 0.01  # the authors' solver
    momentum: float = 0.9  # the authors' solver
    weight_decay: float = 5e-5  # the authors' solver
    rerun: bool = True  # labels from merging anew on the last features (JULE-RC), or from the process itself (JULE-SF)
    precision: str = "bf16"  # ours, in the network; distances and loss are float32

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Forward and backward passes until k clusters are left."""
        self.k, x = k, pixels(inputs.train).to(run.device)
        self.network = network(image_shape(inputs.train), self.width, self.features).to(run.device)
        self.optimiser = torch.optim.SGD(
            self.network.parameters(), lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay
        )
        start = F.normalize(flat(inputs.train)).numpy()
        self.labels = torch.from_numpy(chained(start, k))
        # no snapshots: in between there are more clusters than k
        for _ in run.epochs(1 + rounds(int(self.labels.max()) + 1, k, self.unroll), snapshots=False):
            self._backward(x, run)
            left = int(self.labels.max()) + 1
            self._forward(self.embed(inputs.train).numpy(), max(k, left - math.ceil(self.unroll * left)))
        self._backward(x, run)
        if self.rerun:
            z = self.embed(inputs.train).numpy()
            self.labels = torch.from_numpy(chained(z, k))
            self._forward(z, k)

    def _forward(self, z: np.ndarray, k: int) -> None:
        """Merges on the affinities of features z [n, d] until k clusters are left."""
        given = {"count": self.neighbours, "a": self.a, "local": self.local, "trade": self.trade}
        self.labels = torch.from_numpy(merged(z, self.labels.numpy(), k, least=len(z) / (20 * self.k), **given))

    def _backward(self, x: Tensor, run: Run) -> None:
        """Trains the network on triplets of the present clusters."""
        self.network.train()
        for _ in range(self.epochs):
            for rows in clustered_batches(self.labels, self.batch_size, self.together, run.generator):
                triplets = draw_triplets(self.labels[rows], self.negatives, run.generator)
                if triplets is None:
                    continue
                with autocast(self.precision, run.device):
                    z = self.network(x[rows])
                loss = triplet_loss(z.float(), *triplets, weight=self.weight, margin=self.margin)
                self.optimiser.zero_grad()
                loss.backward()
                self.optimiser.step()
                run.log(triplet=loss)
        self.network.eval()

    def embed(self, x: Tensor) -> Tensor:
        """Features [n, features] float32 of length 1."""
        return through(self.network, x, pixels)


def rounds(clusters: int, k: int, unroll: float) -> int:
    """How often all but one in 1 − `unroll` of the clusters merge until k are left, less one: 0 or more."""
    count = 0
    while (clusters := max(k, clusters - math.ceil(unroll * clusters))) > k:
        count += 1
    return count


def network(shape: tuple[int, ...], width: int, features: int) -> nn.Sequential:
    """Two 5×5 convolutions with batch norm, pooling after the first (over 28 pixels after both), and a linear layer."""
    side = ((shape[-1] - 4 + 1) // 2 - 4) // (2 if shape[-1] > 28 else 1)
    layers = [nn.Conv2d(shape[0], width, 5), nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.MaxPool2d(2, ceil_mode=True)]
    layers += [nn.Conv2d(width, width, 5), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    layers += [nn.MaxPool2d(2)] if shape[-1] > 28 else []
    layers += [nn.Flatten(), nn.Linear(width * side * side, features), Unit()]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


class Unit(nn.Module):
    """Brings rows [b, d] to length 1, in float32."""

    def forward(self, z: Tensor) -> Tensor:
        """z / ‖z‖."""
        return F.normalize(z.float())


def clustered_batches(labels: Tensor, size: int, together: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Index batches [b] int64 of one shuffled pass in which rows come in groups of `together` from one cluster of `labels` [n].

    Of thousands of small clusters a plain batch would hold hardly a pair.
    """
    order = torch.randperm(len(labels), generator=generator)
    order = order[labels[order].argsort(stable=True)]
    sizes = labels.bincount()
    place = torch.arange(len(labels)) - (sizes.cumsum(0) - sizes)[labels[order]]
    group = labels[order] * (int(sizes.max()) // together + 1) + place // together
    _, group = group.unique(return_inverse=True)
    shuffled = torch.randperm(int(group.max()) + 1, generator=generator)
    return iter(order[shuffled[group].argsort(stable=True)].split(size))


def draw_triplets(labels: Tensor, negatives: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor] | None:
    """Anchors and positives [p] int64, all pairs of one cluster in a batch with `labels` [b], and their negatives [p, m].

    Negatives are random rows of other clusters, without repetition. None where there is no pair or one cluster only.
    """
    same = labels[:, None] == labels
    anchors, positives = same.triu(1).nonzero().T
    fewest = len(labels) - int(same.sum(1).max())
    if not len(anchors) or not fewest:
        return None
    drawn = torch.rand(len(anchors), len(labels), generator=generator).masked_fill_(same[anchors], -1)
    return anchors, positives, drawn.topk(min(negatives, fewest)).indices


def triplet_loss(z: Tensor, anchors: Tensor, positives: Tensor, negatives: Tensor, *, weight: float, margin: float) -> Tensor:
    """Mean over triplets of max(0, γ‖x_i − x_j‖² − ‖x_i − x_k‖² + margin), JULE's loss by distances.

    z: [b, d] of length 1.
    """
    square = 2 - 2 * z @ z.T
    close, far = square[anchors, positives], square[anchors[:, None], negatives]
    return (weight * close[:, None] - far + margin).clamp_min(0).mean()
