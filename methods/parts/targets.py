"""Self-training targets of deep embedded clustering: Student-t similarities and their sharpened target.

Xie, Girshick, Farhadi, "Unsupervised Deep Embedding for Clustering Analysis", ICML 2016. arXiv:1511.06335.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def student_t(z: Tensor, centres: Tensor) -> Tensor:
    """Soft assignments q [n, k] float32 of codes z [n, d] to centres [k, d]: DEC eq. 1 with one degree of freedom.

    q_ij = (1 + ‖z_i − μ_j‖²)⁻¹ / Σ_j' (1 + ‖z_i − μ_j'‖²)⁻¹
    """
    z, centres = z.float(), centres.float()
    # differences, not |z|² − 2zμ + |μ|²: that loses the small distances, on which q turns
    distance = (z.unsqueeze(1) - centres.unsqueeze(0)).square().sum(2)
    kernel = 1 / (1 + distance)
    return kernel / kernel.sum(1, keepdim=True)


def sharpened(q: Tensor) -> Tensor:
    """The target p [n, k] of soft assignments q [n, k]: DEC eq. 3; q must be that of all rows, never of a batch.

    p_ij = (q_ij² / f_j) / Σ_j' (q_ij'² / f_j'), f_j = Σ_i q_ij
    """
    weight = q.square() / q.sum(0, keepdim=True)
    return weight / weight.sum(1, keepdim=True)


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(P‖Q) of rows p and q [b, k], mean over rows, a scalar: DEC eq. 2, divided by the batch size."""
    return F.kl_div(q.log(), p, reduction="batchmean")


class Centres(nn.Module):
    """Trainable cluster centres [k, d]; maps codes [n, d] to soft assignments [n, k]."""

    def __init__(self, centres: Tensor) -> None:
        super().__init__()
        self.centres = nn.Parameter(centres.clone().float())

    def forward(self, z: Tensor) -> Tensor:
        """Soft assignments [n, k] of codes z [n, d]."""
        with torch.autocast(z.device.type, enabled=False):
            return student_t(z, self.centres)
