"""Supervised ceiling: the same backbone and views, trained on labels by cross-entropy. Marked, and never ranked.

Idea: what this network and these views can reach when they are told the classes; labels come only as the declared
supervision, and rows marked −1 are never looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import autocast, batches, pixels, through
from methods.parts.encoders import encoder, image_shape
from methods.parts.schedules import warm_cosine
from methods.parts.views import views
from methods.run import Run


@dataclass
class SupervisedCeiling(Method):
    """`assign` gives the most probable class; `embed` the backbone's output below the linear classifier."""

    card = Card(
        title="Supervised ceiling",
        authors="this project",
        year=2026,
        told={"k", "labels", "augmentations"},
        modalities={"image", "vector"},
        bound=True,
        settings={
            "smoke": {"epochs": 2, "warm_up": 1, "batch": 64},
            "quick": {"epochs": 20},
            "paper": {"epochs": 200, "backbone": "resnet18"},
        },
        schedule="ours: 40 epochs",
    )

    epochs: int = 40  # ours; as SimCLR's here
    batch: int = 128  # He et al. (arXiv 1512.03385), section 4.2
    lr: float = 3e-3  # ours, for AdamW on a small network
    weight_decay: float = 0.01  # AdamW's default in PyTorch
    warm_up: int = 2  # ours, in epochs
    backbone: str = "small"  # as SimCLR's here
    precision: str = "bf16"  # bf16 or fp32, in the networks' training passes

    def build(self, shape: tuple[int, ...], k: int | None) -> None:
        """Backbone and linear classifier of k classes, for network inputs of `shape` ([c, h, w] or [d])."""
        self.network = encoder(shape, self.backbone)
        self.classifier = nn.Linear(self.network.width, k)

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Cross-entropy on views of the rows whose labels are shown."""
        if run.supervision is None:
            raise ValueError("supervised_ceiling got no labels; the harness gives them by `run.supervision`")
        image = inputs.modality == "image"
        known = run.supervision.labels >= 0
        raw, y = inputs.train[known], run.supervision.labels[known].to(run.device)
        self.build(image_shape(inputs.train), k if k is not None else int(y.max()) + 1)
        x = (pixels(raw) if image else raw.float()).to(run.device)
        look = views(x.shape[1]) if image else None
        whole = nn.Sequential(self.network, self.classifier).to(run.device)
        optimizer = torch.optim.AdamW(whole.parameters(), lr=self.lr, weight_decay=self.weight_decay, fused=True)
        per_epoch = max(1, len(x) // self.batch)
        schedule = warm_cosine(optimizer, self.epochs * per_epoch, self.warm_up * per_epoch)
        for _ in run.epochs(self.epochs):
            whole.train()
            for index in batches(len(x), self.batch, run.generator, drop_last=True):
                seen = look(x[index], run.generator) if look else x[index]
                with autocast(self.precision, run.device):
                    logits = whole(seen)
                loss = F.cross_entropy(logits.float(), y[index])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                run.log(loss=loss)

    def embed(self, x: Tensor) -> Tensor:
        """[n, width] float32."""
        return through(self.network, x, _prepared)

    def assign(self, x: Tensor) -> Tensor:
        """[n] int64 in 0..k-1: the labels' own numbers."""
        return self.assign_soft(x).argmax(dim=1)

    def assign_soft(self, x: Tensor) -> Tensor:
        """Class probabilities [n, k]."""
        return through(nn.Sequential(self.network, self.classifier), x, _prepared).softmax(dim=1)


def _prepared(x: Tensor) -> Tensor:
    return pixels(x) if x.dtype == torch.uint8 else x.float()
