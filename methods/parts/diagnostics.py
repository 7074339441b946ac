"""What an embedding looks like without labels: whether it spreads, over how many directions, and what views share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def health(z: Tensor, other: Tensor | None = None) -> dict[str, float]:
    """Diagnostics of embeddings z [n, d] and, where there is one, of the same images' other view [n, d].

    effective_rank: exp of the singular values' entropy, centred (Roy & Vetterli, EUSIPCO 2007). feature_std: of a coordinate of
    rows of length one, times √d: 0 where all rows are one (SimSiam, section 4.1). uniformity, alignment: Wang & Isola
    (arXiv 2005.10242), section 4, t = 2 and α = 2, of rows of length one. Four digits, as they go into records.
    """
    unit = F.normalize(z, dim=1)
    found = {
        "effective_rank": effective_rank(z),
        "feature_std": unit.std(dim=0, correction=0).mean() * z.shape[1] ** 0.5,
        "uniformity": F.pdist(unit).square().mul(-2).exp().mean().log(),
    }
    if other is not None and other.shape == z.shape:
        found["alignment"] = (unit - F.normalize(other, dim=1)).square().sum(dim=1).mean()
    return {name: float(f"{float(value):.4g}") for name, value in found.items()}


def effective_rank(z: Tensor) -> Tensor:
    """exp(−Σ p log p) of the shares p of the centred rows' singular values, a scalar in 1..min(n, d); 0 without any variance."""
    values = torch.linalg.svdvals(z - z.mean(dim=0))
    share = values / values.sum().clamp_min(torch.finfo(values.dtype).tiny)
    return torch.special.entr(share).sum().exp() * (values.sum() > 0)
