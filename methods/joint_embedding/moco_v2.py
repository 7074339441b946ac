"""MoCo v2: contrast against a queue of keys that a slow copy of the network made.

Chen, Fan, Girshick, He, "Improved Baselines with Momentum Contrastive Learning", 2020. arXiv:2003.04297; He et al.,
"Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020. arXiv:1911.05722.
Idea: a queue of past keys gives many negatives to a small batch; keys stay comparable since the network that makes them
moves slowly. v2 takes over SimCLR's projector and stronger views.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Card
from methods.parts.encoders import projector
from methods.parts.engine import FromViews
from methods.parts.teacher import Queue, Teacher


@dataclass
class MoCoV2(FromViews):
    """`embed` gives the query backbone's output; clusters come from k-means on it."""

    card = Card(
        title="MoCo v2",
        authors="Chen, Fan, Girshick, He",
        year=2020,
        arxiv="2003.04297",
        told={"augmentations"},
        tuned_on={"imagenet"},
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1, "queue": 128},
            "quick": {"epochs": 25, "queue": 512},
            "paper": {"epochs": 800, "warm_up": 10, "backbone": "resnet18", "queue": 65536},
        },
        schedule="800 epochs on ImageNet, ResNet-50, batches of 256, a queue of 65,536",
        deviations=(
            "a small convolutional network in place of ResNet-50, except at budget paper: ResNet-18",
            "AdamW in place of SGD; a queue of 4,096 keys, since sets here are smaller than the paper's queue",
            "keys are made in shuffled groups of a batch, where the paper shuffles among processors",
            "one preset of views for all methods of this family: crops of half the image or more",
        ),
    )

    hidden: int = 256  # ours, twice the backbone's width
    projection: int = 128  # MoCo, section 3.3
    queue: int = 4096  # ours
    tau: float = 0.99  # ours; MoCo, section 3.3, has 0.999 over far more steps
    temperature: float = 0.2  # v2, section 3
    groups: int = 4  # ours, of a batch of keys: each has batch statistics of its own

    def heads(self, width: int) -> nn.Module:
        """Query projector; the key network is a slow copy of backbone and projector, beside it the queue."""
        self.projector = projector(width, self.hidden, self.projection)
        self.keys = Teacher(nn.Sequential(self.network, self.projector))
        self.memory = Queue(self.queue, self.projection)
        return self.projector

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """MoCo eq. 1: the key of the other view against all keys of the queue."""
        queries = F.normalize(self.outputs(nn.Sequential(self.network, self.projector), views[0]), dim=1)
        keys = F.normalize(self._keys(views[1]), dim=1)
        loss = contrast(queries, keys, self.memory.rows.clone(), self.temperature)
        self.memory.put(keys)
        return loss

    def _keys(self, view: Tensor) -> Tensor:
        """Keys of a view, batch statistics taken in shuffled groups (MoCo, section 3.3: shuffling BN)."""
        order = torch.randperm(len(view)).to(view.device)
        made = torch.cat([self.outputs(self.keys, part) for part in view[order].chunk(self.groups)])
        return made[order.argsort()]

    def stepped(self, done: float) -> None:
        """MoCo eq. 2."""
        self.keys.follow(nn.Sequential(self.network, self.projector), self.tau)


def contrast(queries: Tensor, keys: Tensor, negatives: Tensor, temperature: float) -> Tensor:
    """InfoNCE of queries [b, d] with their keys [b, d] among negatives [q, d], all of length one: a scalar."""
    own = (queries * keys).sum(1, keepdim=True)
    logits = torch.cat([own, queries @ negatives.T], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(queries), dtype=torch.long, device=queries.device))
