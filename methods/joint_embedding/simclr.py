"""SimCLR: pulls two views of an image together and pushes the views of all other images away.

Chen, Kornblith, Norouzi, Hinton, "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020.
arXiv:2002.05709.
Idea: a network that can tell from one random view which of many others shows the same image has learned what the views
keep and forgotten what they change. The embedding is the backbone's; the projector serves the loss alone.
Deviates: see the card.
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
        tuned_on={"cifar10", "shapes", "digits", "mnist-test"},
        tuning="ours: 17 trials, 14 on shapes, 2 on digits, 1 on mnist-test; 6 backbones, 3 smallest crops, 2 temperatures, "
        "2 rotations, 2 jitters; some while shapes itself was being drawn. CIFAR-10 by the authors",
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1},
            "quick": {"epochs": 25},
            "paper": {"epochs": 1000, "batch": 512, "warm_up": 10, "backbone": "resnet18"},
        },
        schedule="1000 epochs on CIFAR-10, ResNet-50 with a small stem, batches of 256 to 4096 (appendix B.9)",
        deviations=(
            "a small convolutional network in place of ResNet-50, except at budget paper: ResNet-18",
            "AdamW in place of LARS",
            "crops of half the image or more, not 0.08, since figures and digits fill theirs; a small rotation, for grey "
            "images a slant too; grey images are not mirrored",
            "hue turns the chroma plane of YIQ, and colours are clamped once, at the end",
        ),
    )

    epochs: int = 50  # ours, for 6 CPU minutes at most at n = 10,000
    batch: int = 256  # the paper's smallest (appendix B.9)
    lr: float = 2e-3  # ours, for AdamW
    weight_decay: float = 1e-4  # ours, for AdamW; the paper's 1e-6 is for LARS
    warm_up: int = 3  # epochs; ours, the paper has 10 of 1000
    temperature: float = 0.5  # the paper's best on CIFAR-10 (appendix B.9)
    hidden: int = 256  # ours, twice the backbone's width; the paper has the width itself, 2048
    projection: int = 128  # section 2.1 and appendix B
    backbone: str = "small"  # small or resnet18
    precision: str = "bf16"  # bf16 or fp32, in the networks' training passes; the loss is float32

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
        for _ in run.epochs(self.epochs, keep={"networks": whole, "optimizer": optimizer, "schedule": schedule}):
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
