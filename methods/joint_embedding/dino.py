"""DINO: a student learns the soft assignments of a slow teacher; centring and sharpening keep them from collapse.

Caron, Touvron, Misra, Jégou, Mairal, Bojanowski, Joulin, "Emerging Properties in Self-Supervised Vision Transformers",
ICCV 2021. arXiv:2104.14294.
Idea: cross-entropy between two softmaxes over many outputs. The teacher's is sharp (low temperature), and what it says on
average is taken off; it sees whole views only, the student small crops too.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Card
from methods.parts.batches import pixels, through
from methods.parts.engine import FromViews
from methods.parts.teacher import Teacher, momentum
from methods.parts.views import multi_crop
from methods.run import Run


class Head(nn.Module):
    """Three layers, length one, and a layer whose weights have length one: [b, width] to [b, outputs] (appendix C).

    Batch norm after the hidden layers, as the authors' code offers it: embeddings of a network that ends in a mean of ReLUs
    point nearly one way, and without it the loss has little to tell them apart by.
    """

    def __init__(self, width: int, hidden: int, bottleneck: int, outputs: int) -> None:
        super().__init__()
        first, second = ([nn.Linear(size, hidden, bias=False), nn.BatchNorm1d(hidden), nn.GELU()] for size in (width, hidden))
        self.body = nn.Sequential(*first, *second, nn.Linear(hidden, bottleneck))
        self.last = nn.Linear(bottleneck, outputs, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        """Outputs [b, outputs] of embeddings h."""
        return F.normalize(self.body(h), dim=1) @ F.normalize(self.last.weight, dim=1).T


@dataclass
class DINO(FromViews):
    """`embed` gives the teacher's backbone output; clusters come from k-means on it."""

    card = Card(
        title="DINO",
        authors="Caron, Touvron, Misra, Jégou, Mairal, Bojanowski, Joulin",
        year=2021,
        arxiv="2104.14294",
        told={"augmentations"},
        tuned_on={"imagenet", "fashion-mnist-test", "mnist-test"},
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1, "dimensions": 64, "small": 1},
            "quick": {"epochs": 25},
            "paper": {"epochs": 800, "warm_up": 10, "backbone": "resnet18", "dimensions": 4096, "small": 6},
        },
        schedule="800 epochs on ImageNet, ViT-S, batches of 1024, eight small crops beside the two views",
        tuning="ours: on 4,000 of fashion-mnist-test, 24 epochs: batch norm in the head lifts kNN from 0.69 to 0.74 (BYOL "
        "has 0.73); small crops, a teacher at 0.04 throughout, a quarter of the rate, a slower centre change it by 0.02 at most. "
        "On mnist-test, 50 epochs, kNN is 0.988 with it and 0.927 without",
        deviations=(
            "a small convolutional network in place of a transformer or ResNet-50, except at budget paper: ResNet-18",
            "batch norm in the head, which the authors' code offers and leaves off for transformers",
            "1,024 outputs in place of 65,536; two small crops in place of eight",
            "the teacher's momentum starts at 0.98, since training is far shorter",
        ),
    )

    hidden: int = 512  # ours; the paper has 2048
    bottleneck: int = 128  # ours; the paper has 256
    dimensions: int = 1024  # of the outputs; ours
    tau: float = 0.98  # ours, at the start; the paper has 0.996
    student: float = 0.1  # temperature τ_s (section 3.1, implementation)
    teacher_from: float = 0.04  # temperature τ_t at first (appendix D)
    teacher_to: float = 0.07  # and in the end
    teacher_warm: float = 0.3  # the part of training over which it rises (appendix D: 30 of 100 epochs and more)
    centring: float = 0.9  # rate m of the centre (equation 4)
    small: int = 2  # ours: small crops beside the two views

    def heads(self, width: int) -> nn.Module:
        """The student's head; the teacher is a slow copy of backbone and head; the centre of its outputs."""
        self.head = Head(width, self.hidden, self.bottleneck, self.dimensions)
        self.teacher = Teacher(nn.Sequential(self.network, self.head))
        self.centre = nn.Module()
        self.centre.register_buffer("value", torch.zeros(self.dimensions))
        self.centre.register_buffer("temperature", torch.tensor(self.teacher_from))
        return self.head

    def draw(self, images: Tensor, run: Run) -> list[Tensor]:
        """Two whole views and `small` small ones."""
        looks = multi_crop(images.shape[1], images.shape[-1], small=self.small)
        return [look(images, run.generator) for look in looks]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Equation 3: cross-entropy of every view's student with every whole view's teacher but its own."""
        told = self.outputs(self.teacher, torch.cat(views[:2]))
        targets = F.softmax((told - self.centre.value) / self.centre.temperature, dim=1).chunk(2)
        said = [F.log_softmax(s / self.student, dim=1) for s in self.passes(nn.Sequential(self.network, self.head), views)]
        pairs = [(i, j) for i in range(2) for j in range(len(views)) if i != j]
        loss = sum(-(targets[i] * said[j]).sum(1).mean() for i, j in pairs) / len(pairs)
        self.centre.value.lerp_(told.mean(0), 1 - self.centring)  # equation 4
        return loss

    def stepped(self, done: float) -> None:
        """The teacher follows; its temperature rises."""
        self.teacher.follow(nn.Sequential(self.network, self.head), momentum(self.tau, done))
        risen = min(1.0, done / self.teacher_warm)
        self.centre.temperature.fill_(self.teacher_from + (self.teacher_to - self.teacher_from) * risen)

    def embed(self, x: Tensor) -> Tensor:
        """The teacher's backbone output, which the paper evaluates: [n, width] float32."""
        return through(self.teacher.network[0], x, pixels)
