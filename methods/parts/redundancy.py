"""Redundancy reduction: features of two views agree one by one, and no two say the same.

Zbontar, Jing, Misra, LeCun, Deny, "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", ICML 2021.
arXiv:2103.03230.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def correlation(z1: Tensor, z2: Tensor) -> Tensor:
    """C_ij, the correlation of dimension i of one view with j of the other over the batch: [p, p] of z1, z2 [b, p]."""
    first, second = (F.batch_norm(z, None, None, training=True) for z in (z1.float(), z2.float()))
    return first.T @ second / len(z1)


def barlow(c: Tensor, redundancy: float) -> Tensor:
    """Σ_i (1 − C_ii)² + λ Σ_i Σ_{j≠i} C_ij², a scalar (equation 1). c: [p, p]."""
    diagonal = c.diagonal()
    return (1 - diagonal).square().sum() + redundancy * (c.square().sum() - diagonal.square().sum())
