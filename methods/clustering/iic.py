"""IIC: clusters of two views of an image that tell most of each other.

Ji, Henriques, Vedaldi, "Invariant Information Clustering for Unsupervised Image Classification and Segmentation", ICCV 2019.
arXiv:1807.06653.
Idea: the mutual information of the two clusters is greatest where they agree, surely, and all are used alike: what keeps
clusters from collapsing is in the objective itself. Nothing is pretrained. Auxiliary heads of more clusters than k make the
features finer.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from methods.base import Card
from methods.parts.heads import ClustersFromViews, Heads, linear_head
from methods.run import Run


@dataclass
class IIC(ClustersFromViews):
    """`assign` is by the sub-head of the lowest loss; `embed` gives the backbone's output."""

    card = Card(
        title="IIC: invariant information clustering",
        authors="Ji, Henriques, Vedaldi",
        year=2019,
        arxiv="1807.06653",
        told={"k", "augmentations"},
        tuned_on={"mnist", "mnist-test", "cifar10", "cifar100-20", "stl10"},
        tuning="ours: 20 trials of at most 50 epochs on mnist-test. With the image itself in each pair, two of three seeds learn "
        "to tell images from views, in two clusters (ACC 0.11). With pairs of views all begin; where the main heads move the "
        "network, classes that merge early stay merged: 0.64 to 0.83, on features as they are or of variance one, with smaller "
        "batches, a quarter of the rate, or auxiliary heads alone at first. k-means of what auxiliary heads alone have made is "
        "right for 0.95 of images; so the main heads only read it, from half-time on: 0.96",
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 0, "subheads": 2},
            "quick": {"epochs": 10},
            "paper": {
                "epochs": 3200,
                "batch": 700,
                "lr": 1e-4,
                "warm_up": 0,
                "weight_decay": 0.0,
                "transforms": 5,
                "alone": 0.0,
                "reads": False,
            },
        },
        schedule="3200 epochs on MNIST, a network of four convolutions, batches of 700, five transforms an image",
        deviations=(
            "the suite's small convolutional network; no Sobel filter on colour images",
            "AdamW with a cosine, in far fewer and larger steps",
            "one preset of views for all methods on views, in place of crops of three sizes and rotations",
            "only the auxiliary heads move the network; the main ones learn from its features, from half-time on. In the "
            "authors' code both move it, in turns, epoch by epoch",
            "heads see features of variance one",
            "a pair is two views, not an image and its view, which a network may learn to tell apart instead",
        ),
    )

    epochs: int = 50  # ours
    lr: float = 2e-3  # ours; the paper has 1e-4
    subheads: int = 5  # section 4.1
    over: int = 5  # the authors' code on MNIST: 50 clusters in the auxiliary heads, for 10
    alone: float = 0.5  # the part of training in which the auxiliary heads learn alone; ours
    reads: bool = True  # the main heads' loss doesn't reach the network; ours
    transforms: int = 1  # views of each image that its first one is paired with; the authors' code has 5

    def heads(self, width: int) -> list[nn.Module]:
        """Sub-heads for k clusters, and auxiliary ones for over·k."""
        self.clusterers = Heads(linear_head(width, self._k) for _ in range(self.subheads))
        self.auxiliary = Heads(linear_head(width, self.over * self._k) for _ in range(self.subheads))
        return [self.clusterers, self.auxiliary]

    def before_epoch(self, epoch: int, x: Tensor, run: Run) -> None:
        """Heads are compared by the present epoch; for a part `alone` of training the auxiliary ones learn alone."""
        self.clusterers.renew()
        self._alone = epoch < self.alone * self.epochs

    def draw(self, images: Tensor, run: Run) -> list[Tensor]:
        """Views alone: where one of a pair were the image itself, telling the two apart would be worth log 2."""
        look = self.look(images.shape[1])
        return [look(images, run.generator) for _ in range(1 + self.transforms)]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """−I of the clusters of the first view and of each other, averaged over heads of a kind and views, both kinds added."""
        features = self.outputs(self.network, torch.cat(views))
        loss = self._of_heads(self.auxiliary, features)
        if self._alone:
            return loss
        return loss + self._of_heads(self.clusterers, features.detach() if self.reads else features)

    def _of_heads(self, heads: Heads, features: Tensor) -> Tensor:
        """−I averaged over heads and over pairs of views; features: of all views in turn, [views · b, width]."""
        first, *others = self.outputs(heads, features).softmax(2).chunk(1 + self.transforms, 1)
        losses = [torch.stack([-information(p, q) for p, q in zip(first, other, strict=True)]) for other in others]
        each = torch.stack(losses).mean(0)
        heads.note(each)
        return each.mean()


def joint(p: Tensor, q: Tensor) -> Tensor:
    """The joint distribution P [k, k] of the clusters of pairs, from probabilities p, q [b, k]: equation 2, symmetrised."""
    found = p.T @ q / len(p)
    return (found + found.T) / 2


def information(p: Tensor, q: Tensor) -> Tensor:
    """I(z, z') in nats of probabilities p, q [b, k], a scalar in 0..log k: equation 3.

    Σ P_cc' log(P_cc' / (P_c P_c'))
    """
    found = joint(p, q)
    marginal = found.sum(0)
    return torch.xlogy(found, found.clamp_min(1e-12)).sum() - 2 * torch.xlogy(marginal, marginal.clamp_min(1e-12)).sum()
