"""Kernel-InfoNCE: SimCLR's loss with another kernel between embeddings than the Gaussian that it has on the sphere.

Tan, Zhang, Yang, Yuan, "Contrastive Learning Is Spectral Clustering on Similarity Graph", ICLR 2024. arXiv:2303.15103.
Idea: InfoNCE compares two distributions over neighbours, one drawn by augmentation, one by a kernel of the embeddings;
exponential kernels exp(−‖z − z'‖^γ / τ) are those of largest entropy, and γ need not be 2.
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


@dataclass
class KernelInfoNCE(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="Kernel-InfoNCE",
        authors="Tan, Zhang, Yang, Yuan",
        year=2024,
        arxiv="2303.15103",
        varies="simclr",
        told={"augmentations"},
        tuned_on={"cifar10", "cifar100"},
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1},
            "quick": {"epochs": 25},
            "paper": {"epochs": 400, "warm_up": 10, "backbone": "resnet18"},
        },
        schedule="200 and 400 epochs on CIFAR, ResNet-50, batches of 256",
        deviations=(
            "one exponential kernel with γ = 1; the paper also mixes two",
            "a small convolutional network in place of ResNet-50, except at budget paper: ResNet-18",
            "AdamW, and SimCLR's settings here, so that the kernel is all that differs from it",
        ),
    )

    gamma: float = 1.0  # section 5: 1 for the simple exponential kernel; 2 is SimCLR's Gaussian
    temperature: float = 0.5  # ours: as SimCLR here
    hidden: int = 256  # ours: as SimCLR here
    projection: int = 128  # ours: as SimCLR here

    def heads(self, width: int) -> nn.Module:
        """The projector."""
        self.projector = projector(width, self.hidden, self.projection)
        return self.projector

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """InfoNCE over all views of the batch, each once as the anchor."""
        z = F.normalize(self.outputs(nn.Sequential(self.network, self.projector), torch.cat(views)), dim=1)
        return kernel_infonce(z, self.gamma, self.temperature)


def kernel_infonce(z: Tensor, gamma: float, temperature: float) -> Tensor:
    """Mean over rows i of −log K(z_i, z_i') / Σ_{j≠i} K(z_i, z_j), K = exp(−‖·‖^γ / τ): a scalar.

    z: [2b, d] of length one, row i and row i + b two views of one image.
    """
    # differences of rows of length one; the floor keeps the root's gradient finite where two rows are one point
    distance = (2 - 2 * z @ z.T).clamp_min(1e-6).sqrt()
    logits = -distance.pow(gamma) / temperature
    logits = logits.masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), float("-inf"))
    return F.cross_entropy(logits, torch.arange(len(z), device=z.device).roll(len(z) // 2))
