"""Twin contrastive learning: contrastive clustering of weak and strong views, then boosted by its own sure labels.

Li, Yang, Peng, Li, Huang, Peng, "Twin Contrastive Learning for Online Clustering", IJCV 2022. arXiv:2210.11680.
Idea: rows of a batch's assignments are images, columns are clusters, and both are contrasted. Once predictions are sure they
serve twice: as labels of the clusters' head, and to spare images of one cluster from being pushed apart.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Card
from methods.clustering.cc import of_clusters, perceptron
from methods.parts.clusters import Memory
from methods.parts.contrast import nt_xent
from methods.parts.heads import ClustersFromViews, Heads
from methods.parts.views import strong
from methods.run import Run


@dataclass
class TCL(ClustersFromViews):
    """`assign` is by the cluster head; `embed` gives the backbone's output."""

    card = Card(
        title="TCL: twin contrastive learning",
        authors="Li, Yang, Peng, Li, Huang, Peng",
        year=2022,
        arxiv="2210.11680",
        told={"k", "augmentations"},
        tuned_on={"cifar10", "cifar100-20", "stl10", "imagenet-10", "mnist-test"},
        tuning="ours: four runs of at most 32 epochs on mnist-test: whether the columns' contrast stays while boosting; heads",
        modalities={"image"},
        settings={
            "smoke": {"epochs": 3, "batch": 64, "warm_up": 1, "boost": 1},
            "quick": {"epochs": 10, "boost": 3},
            "paper": {"epochs": 1200, "lr": 3e-4, "warm_up": 0, "boost": 200, "backbone": "resnet18"},
        },
        schedule="1000 epochs on CIFAR-10, ResNet-34 at 224 pixels, batches of 256; then 200 of boosting",
        deviations=(
            "a small convolutional network in place of ResNet-34, except at budget paper: ResNet-18; images keep their size",
            "AdamW with warm-up and one cosine over both stages, in fewer and larger steps; the authors begin it anew",
            "weak views are those of all methods on views, strong ones those of SCAN here",
            "both heads see features of mean 0 and variance 1, as CC's here",
            "the contrast of columns stays while boosting: without it, after ten epochs, clusters ran empty and ACC on "
            "mnist-test fell from 0.75 to 0.38 (with heads on features as they are)",
        ),
    )

    epochs: int = 32  # ours, boosting included
    boost: int = 8  # the last epochs, in which sure predictions are labels; ours
    temperature: float = 0.5  # the authors' code: of instances
    cluster_temperature: float = 1.0  # the authors' code
    projection: int = 128  # the authors' code: dimensions of the row space
    sure: float = 0.99  # α: the probability from which a prediction may be a label; the authors' code
    part: float = 0.5  # γ: of an equal share, of which each batch gives so many new labels to a cluster; the authors' code

    def heads(self, width: int) -> list[nn.Module]:
        """Two perceptrons of two layers: into the row space and, with a softmax, into the column space."""
        self.projector = perceptron(width, self.projection)
        self.clusterers = Heads([perceptron(width, self._k)])
        return [self.projector, self.clusterers]

    def begin(self, x: Tensor, run: Run) -> None:
        """No image has a label yet."""
        self.memory = Memory(labels=torch.full((len(x),), -1))

    def before_epoch(self, epoch: int, x: Tensor, run: Run) -> None:
        """The last epochs boost."""
        self._boosts = epoch >= self.epochs - self.boost

    def draw(self, images: Tensor, run: Run) -> list[Tensor]:
        """A weak view, a strong view and, while boosting, the images as they are."""
        look = self.look(images.shape[1])
        hard = replace(strong(images.shape[1]), scale=look.scale)
        return [look(images, run.generator), hard(images, run.generator), *([images] if self._boosts else [])]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Contrast of rows and of columns; while boosting friends are spared, and labels are learned."""
        labels = self._label(views[2], rows) if self._boosts else None
        features = self.outputs(self.network, torch.cat(views[:2]))
        z = self.outputs(self.projector, features).chunk(2)
        said = self.outputs(self.clusterers, features)[0].chunk(2)
        columns = of_clusters(*(one.softmax(1) for one in said), self.cluster_temperature)
        if labels is None:
            return nt_xent(*z, self.temperature) + columns
        return spared(*z, labels, self.temperature) + labelled(said[1], labels) + columns

    @torch.no_grad()
    def _label(self, images: Tensor, rows: Tensor) -> Tensor:
        """Labels [b] int64 of a batch after it has been looked at, −1 for none."""
        self.network.eval()
        p = self.clusterers(self.outputs(self.network, images))[0].float().softmax(1)
        self.network.train()
        labels = relabelled(p, self.memory.labels[rows], self.sure, self.part)
        self.memory.labels[rows] = labels
        return labels


def relabelled(p: Tensor, labels: Tensor, sure: float, part: float) -> Tensor:
    """Labels [b] int64 of predictions p [b, k] for images that had `labels` [b], −1 for none.

    Of the images predicted for a cluster the surest ⌈part · b/k⌉ get it as label, where they have none; and no image keeps a
    label whose prediction is not sure.
    """
    b, k = p.shape
    best, cluster = p.max(1)
    ranked = torch.where(F.one_hot(cluster, k).bool(), best[:, None], -1.0).argsort(dim=0, descending=True).argsort(dim=0)
    among = ranked[torch.arange(b, device=p.device), cluster] < -(-part * b // k)
    fresh = torch.where(among, cluster, -1)
    return torch.where(best < sure, -1, torch.where(labels < 0, fresh, labels))


def spared(z1: Tensor, z2: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """NT-Xent of z1, z2 [b, d] without the negatives that have the anchor's label, labels [b] int64, −1 for none: a scalar."""
    z = F.normalize(torch.cat([z1, z2]).float(), dim=1)
    twice = labels.repeat(2)
    friends = (twice[:, None] == twice) & (twice >= 0)
    partner = torch.arange(len(z), device=z.device).roll(len(z1))
    friends[torch.arange(len(z)), partner] = False
    friends.fill_diagonal_(True)
    return F.cross_entropy((z @ z.T / temperature).masked_fill(friends, -torch.inf), partner)


def labelled(said: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of logits [b, k] with labels [b], −1 for none, in which each cluster weighs the same: a scalar."""
    kept = labels >= 0
    each = F.cross_entropy(said[kept], labels[kept], reduction="none")
    weights = 1 / labels[kept].bincount(minlength=said.shape[1])[labels[kept]].float()
    return (weights * each).sum() / weights.sum().clamp_min(1)
