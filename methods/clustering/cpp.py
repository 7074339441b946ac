"""CPP: frozen features are mapped to subspaces, one a cluster, by rate reduction with doubly stochastic memberships.

Chu, Tong, Ding, Dai, Haeffele, Vidal, Ma, "Image Clustering via the Principle of Rate Reduction in the Age of Pretrained
Models", ICLR 2024. arXiv:2306.05272.
Idea: features that take many nats together and few with those they belong with lie in subspaces at right angles. Who belongs
with whom is learned beside them, as an affinity of pairs; only spectral clustering of it, at the end, needs k, and of several k
that with the shortest code is the best.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

from methods.base import Card
from methods.parts.reduction import RateReduced


@dataclass
class CPP(RateReduced):
    """`embed` gives Z, the features of length one; `assign` is by spectral clustering of the memberships."""

    card = Card(
        title="CPP: clustering by the principle of rate reduction and pretrained models",
        authors="Chu, Tong, Ding, Dai, Haeffele, Vidal, Ma",
        year=2024,
        arxiv="2306.05272",
        told={"k"},
        tuned_on={"cifar10", "cifar100-20", "cifar100", "imagenet"},
        tuning="none: six runs of 6 to 30 epochs on mnist-test or its first 3,000 images, for the cost and the estimate of k",
        modalities={"image", "vector"},
        parts={"features": "simclr"},
        settings={
            "smoke": {"epochs": 3, "batch": 60, "warm_up": 1, "hidden": 32, "dim": 16, "columns": 8, "landmarks": 60},
            "quick": {"epochs": 10, "warm_up": 2, "landmarks": 1000},
            "paper": {"epochs": 15, "batch": 1024, "warm_up": 1, "hidden": 4096, "dim": 128, "columns": 1024},
        },
        schedule="15 epochs on CIFAR-10, batches of 1024 (the authors' code), on features of CLIP ViT-L/14",
        deviations=(
            "features of the suite's own part, trained on the same images, in place of CLIP's",
            "Adam in place of SGD; fewer hidden units and dimensions, except at budget paper",
            "the rate within is the mean over some columns of a batch's memberships, not over all",
            "spectral clustering is exact among 2,000 random rows and carried over to the others, as batches in the paper",
            "on fashion-mnist-test no sure gain over k-means on the part: in one of three seeds half of the sandals lie with "
            "sneakers, in another bags have two clusters and pullovers none (ACC 0.59, 0.55, 0.70; k-means 0.52, 0.55, 0.50)",
        ),
    )
