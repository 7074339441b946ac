"""SimCLR: pulls two views of an image together and pushes the views of all other images away.

Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.
arXiv:2002.05709.
Idea: a network that can tell from one random view which of many others shows the same image has learned what the views
keep and forgotten what they change. The embedding is the backbone's; the projector serves the loss alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import autocast, batches, pixels, through
from methods.parts.contrast import nt_xent
from methods.parts.encoders import encoder, image_shape, projector
from methods.parts.schedules import warm_cosine
from methods.parts.views import views
from methods.run import Run


@dataclass
class SimCLR(Method):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="SimCLR",
        authors="Chen, Kornblith, Norouzi, Hinton",
        year=2020,
        arxiv="2002.05709",
        told={"augmentations"},
        tuned_on={"cifar10"},
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1},
            "quick": {"epochs": 40, "batch": 256},
            "paper": {"epochs": 1000, "batch": 512, "backbone": "resnet18"},
        },
        schedule="1000 epochs, ResNet-50 with a CIFAR stem, batches of 256 to 4096 (appendix B.9)",
    )

    epochs: int = 40  # ours, for about 5 CPU minutes at n = 10,000
    batch: int = 512
    lr: float = 2e-3
    weight_decay: float = 1e-4
    warm_up: int = 3
    temperature: float = 0.5
    hidden: int = 256
    projection: int = 128
    backbone: str = "small"
    precision: str = "bf16"

    def build(self, shape: tuple[int, ...], k: int | None) -> None:
        """Backbone and projector for images of `shape` [c, h, w], as they come to the network."""
        self.network = encoder(shape, self.backbone)
        self.projector = projector(self.network.width, self.hidden, self.projection)

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Algorithm 1 of the paper."""
        self.build(image_shape(inputs.train), k)
        x = pixels(inputs.train).to(run.device)
        whole = nn.Sequential(self.network, self.projector).to(run.device)
        look = views(x.shape[1])
        optimizer = torch.optim.AdamW(whole.parameters(), lr=self.lr, weight_decay=self.weight_decay, fused=True)
        per_epoch = max(1, len(x) // self.batch)
        schedule = warm_cosine(optimizer, self.epochs * per_epoch, self.warm_up * per_epoch)
        for _ in run.epochs(self.epochs):
            whole.train()
            for index in batches(len(x), self.batch, run.generator, drop_last=True):
                images = x[index]
                pair = torch.cat([look(images, run.generator), look(images, run.generator)])
                with autocast(self.precision, run.device):
                    z1, z2 = whole(pair).chunk(2)
                loss = nt_xent(z1, z2, self.temperature)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
                run.log(loss=loss)

    def embed(self, x: Tensor) -> Tensor:
        """The backbone's output h, not the projector's (section 4.2): [n, width] float32."""
        return through(self.network, x, pixels)
