"""P²OT: pseudo-labels from a transport plan that leaves clusters' sizes open, and at first moves the surest images only.

Zhang, Ren, He, "P²OT: Progressive Partial Optimal Transport for Deep Imbalanced Clustering", ICLR 2024. arXiv:2401.09266.
Idea: self-labelling needs something against one cluster for all; equal sizes do it, but are wrong where classes aren't equal.
A divergence from equal sizes gives way to what the network sees, and a mass that rises lets in the doubtful images late.
Deviates: see the card. With `balanced` it is self-labelling by balanced Sinkhorn, as a variant to compare with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from methods.base import Card
from methods.parts.self_labels import SelfLabelled
from methods.parts.unbalanced import unbalanced


@dataclass
class P2OT(SelfLabelled):
    """`assign` is by the head of the lowest loss; `embed` gives the part's features, which stay as they are."""

    card = Card(
        title="P²OT: progressive partial optimal transport",
        authors="Zhang, Ren, He",
        year=2024,
        arxiv="2401.09266",
        told={"k", "augmentations"},
        tuned_on={"cifar100", "mnist-test"},
        tuning="ours: a dozen trials of heads on mnist-test, most on a long-tailed part, on SimCLR of 12 epochs: norm, rate; "
        "two of one epoch with the backbone training on, left for their cost",
        modalities={"image"},
        parts={"features": "simclr"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 0, "remembered": 1, "cached": 2},
            "quick": {"epochs": 6},
            "paper": {"epochs": 50, "batch": 512, "lr": 5e-4, "warm_up": 0, "iterations": 1000},
        },
        schedule="50 epochs on long-tailed CIFAR-100, batches of 512, the last block of a pretrained vision transformer",
        deviations=(
            "heads on frozen features of the suite's own part; the paper trains the last block of a model pretrained on others",
            "features of six views of each image are computed once, after the preset of views of all methods",
            "a layer norm before the head, where the paper's model has one; AdamW, in fewer and larger steps",
            "on mnist-test, whose classes are even, no sure gain over k-means on the part: in two of three seeds two classes "
            "share a cluster and one has two, which open sizes allow (ACC 0.81, 0.96, 0.80). Nor on fashion-mnist-test: in each "
            "of three seeds sneakers lie in the clusters of sandals and boots, with none of their own (0.50 to 0.56, k-means "
            "0.50 to 0.55)",
        ),
    )

    epochs: int = 20  # ours
    lr: float = 0.02  # ours; the authors' code has 5e-4, and a backbone to train
    warm_up: int = 1  # epochs; ours
    cached: int = 6  # views of each image; ours
    count: int = 2  # heads; the authors' code, on CIFAR-100
    remembered: int = 10  # batches; the authors' code
    temperature: float = 0.1  # the authors' code: of the heads' cosines
    epsilon: float = 0.1  # the authors' code
    strength: float = 1.0  # λ: of the divergence from equal sizes; the authors' code
    iterations: int = 20  # of each plan, which begins with the last one's potentials; ours, the authors' code has 1000 at most
    start: float = 0.1  # ρ at the start; the authors' code
    balanced: bool = False  # ours: all mass moves, and sizes are equal

    def plan(self, cost: Tensor, held: Tensor) -> Tensor:
        """The paper's problem, min ⟨Q, −log P⟩ + λ KL(Qᵀ1‖ρ/k) with Q1 ≤ 1/m and mass ρ; with `balanced` Qᵀ1 = 1/k and ρ = 1."""
        own, share = (torch.full((size,), 1 / size, device=cost.device) for size in cost.shape)
        strength, part = (math.inf, 1.0) if self.balanced else (self.strength, mass(self.start, self.done))
        solver = {"epsilon": self.epsilon, "iterations": self.iterations, "held": held}
        return unbalanced(cost, own, share, strength=strength, mass=part, **solver)


def mass(start: float, done: float) -> float:
    """ρ, from nearly `start` to 1: ρ₀ + (1 − ρ₀) exp(−5 (1 − t)²). done: t, the part of training that is behind."""
    return start + (1 - start) * math.exp(-5 * (1 - done) ** 2)
