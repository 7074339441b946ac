"""InvP: instance discrimination whose positives are also neighbours of neighbours in the memory, the least similar first.

Wang, Liu, Guo, Sun, "Unsupervised Representation Learning by Invariance Propagation", NeurIPS 2020. arXiv:2010.11694.
Idea: a few steps along the graph of nearest neighbours stay within a dense region, so they find images of the same kind that
look different. The hardest of them teach most.
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
from methods.parts.engine import FromViews
from methods.run import Run


@dataclass
class InvariancePropagation(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="Invariance propagation",
        authors="Wang, Liu, Guo, Sun",
        year=2020,
        arxiv="2010.11694",
        told={"augmentations"},
        tuned_on={"imagenet"},
        modalities={"image"},
        max_n=100000,
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1, "alone": 1},
            "quick": {"epochs": 25, "alone": 4},
            "paper": {"epochs": 800, "warm_up": 0, "backbone": "resnet18", "alone": 30},
        },
        schedule="800 epochs on ImageNet, ResNet-50, batches of 256",
        deviations=(
            "a small convolutional network in place of ResNet-50, except at budget paper: ResNet-18",
            "AdamW in place of SGD with steps; all images are the background, not the 4096 most similar of a million",
            "neighbours count once, however many ways lead to them",
            "one preset of views for all methods of this family: crops of half the image or more",
        ),
    )

    hidden: int = 256  # ours, twice the backbone's width
    projection: int = 128  # the authors' code
    temperature: float = 0.2  # the authors' code, with an MLP head
    memory: float = 0.5  # the authors' code: the part of an old feature that stays
    neighbours: int = 4  # k; the authors' code
    steps: int = 3  # l; the authors' code
    positives: int = 50  # the hardest of at most 84; the authors' code
    share: float = 0.6  # λ of the propagated term; the authors' code
    alone: int = 8  # ours: epochs with the instance term only; the authors have 30

    def heads(self, width: int) -> nn.Module:
        """An MLP to the sphere."""
        self.projector = projector(width, self.hidden, self.projection)
        return self.projector

    def begin(self, x: Tensor, run: Run) -> None:
        """A memory of n random directions and of each image's neighbours, itself at first."""
        n = len(x)
        near = torch.arange(n)[:, None].expand(n, self.neighbours).clone()
        self.bank = Memory(rows=F.normalize(torch.randn(n, self.projection), dim=1), near=near)

    def before_epoch(self, epoch: int, x: Tensor, run: Run) -> None:
        """Neighbours mean nothing at first."""
        self._alone = epoch < self.alone

    def draw(self, images: Tensor, run: Run) -> list[Tensor]:
        """One view."""
        return [self.look(images.shape[1])(images, run.generator)]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """The instance term, and the propagated one."""
        v = F.normalize(self.outputs(nn.Sequential(self.network, self.projector), views[0]), dim=1)
        rows = rows.to(v.device)
        similarity = v @ self.bank.rows.T / self.temperature
        self._seen = rows, v.detach(), closest(similarity.detach(), rows, self.neighbours)
        instance = F.cross_entropy(similarity, rows)
        if self._alone:
            return instance
        return instance + self.share * propagated(similarity, rows, reached(self.bank.near, rows, self.steps), self.positives)

    def stepped(self, done: float) -> None:
        """Features and neighbours of the batch enter the memory."""
        rows, v, near = self._seen
        self.bank.rows[rows] = F.normalize(self.memory * self.bank.rows[rows] + (1 - self.memory) * v, dim=1)
        self.bank.near[rows] = near


def closest(similarity: Tensor, rows: Tensor, k: int) -> Tensor:
    """The k most similar images [b, k] int64 but the own one. similarity: [b, n]; rows: own places [b]."""
    return similarity.scatter(1, rows[:, None], float("-inf")).topk(k, dim=1).indices


def reached(near: Tensor, rows: Tensor, steps: int) -> Tensor:
    """Which images are at most `steps` steps from each of rows [b] along near [n, k], itself left out: [b, n] bool."""
    found = torch.zeros(len(rows), len(near), dtype=torch.bool, device=near.device)
    front = rows[:, None]
    for _ in range(steps):
        front = near[front].flatten(1)
        found.scatter_(1, front, True)
    return found.scatter_(1, rows[:, None], False)


def propagated(similarity: Tensor, rows: Tensor, found: Tensor, count: int) -> Tensor:
    """−log of the hard positives' share among all images but the own one, a scalar.

    similarity: [b, n] over the temperature; found: [b, n] bool, of which the `count` least similar are the hard positives.
    Rows that reached nothing have no say.
    """
    hard = similarity.detach().masked_fill(~found, float("inf")).topk(min(count, found.shape[1]), dim=1, largest=False).indices
    chosen = torch.zeros_like(found).scatter_(1, hard, True) & found
    some = found.any(1)
    others = similarity.scatter(1, rows[:, None], float("-inf"))[some]
    return (others.logsumexp(1) - others.masked_fill(~chosen[some], float("-inf")).logsumexp(1)).sum() / max(1, int(some.sum()))
