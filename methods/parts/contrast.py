"""Contrastive losses on pairs of views."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def nt_xent(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    """NT-Xent, SimCLR eq. 1 averaged over all 2b views as in its algorithm 1: a scalar.

    z1, z2: [b, d], row i of both a view of one image; normalised here. Every other view in the batch is a negative.
    """
    b = len(z1)
    z = F.normalize(torch.cat([z1, z2]).float(), dim=1)
    similarity = z @ z.T / temperature
    # A view is no negative of itself: the indicator k ≠ i of eq. 1.
    similarity = similarity.masked_fill(torch.eye(2 * b, dtype=torch.bool, device=z.device), float("-inf"))
    partner = torch.arange(2 * b, device=z.device).roll(b)
    return F.cross_entropy(similarity, partner)
