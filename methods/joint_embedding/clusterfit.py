"""ClusterFit: clusters what a pretrained network makes of the images, and trains a new network on these labels.

Yan, Misra, Gupta, Ghadiyaram, Mahajan, "ClusterFit: Improving Generalization of Visual Representations", CVPR 2020.
arXiv:1912.03330.
Idea: clusters keep what images have in common and lose what was particular to the pretext; a network that starts from
nothing can learn only the former.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from datasets.base import Inputs
from methods.base import Card
from methods.parts.clusters import Memory, lloyd
from methods.parts.engine import FromViews
from methods.parts.heads import linear_head
from methods.run import Run


@dataclass
class ClusterFit(FromViews):
    """`embed` gives the new backbone's output; clusters come from k-means on it."""

    card = Card(
        title="ClusterFit",
        authors="Yan, Misra, Gupta, Ghadiyaram, Mahajan",
        year=2020,
        arxiv="1912.03330",
        told={"augmentations"},
        tuned_on={"imagenet", "mnist-test"},
        tuning="none of its own: its head is that which did best for DeepCluster on mnist-test",
        modalities={"image"},
        parts={"pretext": "simclr"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1, "clusters": 16},
            "quick": {"epochs": 25},
            "paper": {"epochs": 105, "warm_up": 0, "backbone": "resnet18"},
        },
        schedule="105 epochs on ImageNet, ResNet-50, from a network that solved jigsaws or told rotations",
        deviations=(
            "the pretext is SimCLR's, not jigsaws or rotations",
            "a small convolutional network in place of ResNet-50, except at budget paper: ResNet-18",
            "AdamW in place of SGD with steps; 300 clusters in place of 16,000",
            "one preset of views for all methods of this family: crops of half the image or more",
            "the linear layer sees features of variance one, as DeepCluster's here",
        ),
    )

    clusters: int = 300  # ours, some thirty a class, as the paper's best on ImageNet
    iterations: int = 50  # of k-means; ours

    def heads(self, width: int) -> nn.Module:
        """A linear classifier."""
        self.classifier = linear_head(width, self.clusters)
        return self.classifier

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Cluster, then fit."""
        self._pretext = run.parts["pretext"].embed(inputs.train)
        super().fit(inputs, k, run)

    def begin(self, x: Tensor, run: Run) -> None:
        """The labels: clusters of the pretext's features, of length one."""
        z = F.normalize(self._pretext.float().to(x.device), dim=1)
        self.memory = Memory(labels=lloyd(z, self.clusters, run, iterations=self.iterations, spherical=True)[1])

    def draw(self, images: Tensor, run: Run) -> list[Tensor]:
        """One view."""
        return [self.look(images.shape[1])(images, run.generator)]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Cross-entropy with the clusters."""
        return F.cross_entropy(self.outputs(nn.Sequential(self.network, self.classifier), views[0]), self.memory.labels[rows])
