"""Many small clusters of many rows, found anew all the time: Lloyd's iterations on tensors, and what methods remember of rows.

methods/parts/kmeans.py finds the best of several starts for a method's k clusters; here one quick start makes pseudo-labels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.run import Run

NUDGE = 1e-2  # how far an empty cluster's new centre lies from its donor's, in standard deviations of the rows


class Memory(nn.Module):
    """Tensors that a method remembers from step to step, by name; as buffers they are part of checkpoints."""

    def __init__(self, **tensors: Tensor) -> None:
        super().__init__()
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)


@torch.no_grad()
def lloyd(z: Tensor, k: int, run: Run, *, iterations: int, spherical: bool = False) -> tuple[Tensor, Tensor]:
    """Centres [k, d] and labels [n] int64 of rows z [n, d] after Lloyd's iterations from k random rows (at most n).

    spherical: rows have length one, and so have centres. A cluster that lost all its rows goes on beside another's centre
    (Caron et al., arXiv 1807.05520, “Avoiding trivial solutions”); after the last iteration a few may be empty.
    """
    centres = z[torch.randperm(len(z), generator=run.generator)[:k].to(z.device)]
    for _ in range(iterations):
        centres, counts = means(z, nearest(z, centres), len(centres))
        if (empty := (counts == 0).nonzero()[:, 0]).numel():
            donors = counts.cpu().float().multinomial(len(empty), replacement=True, generator=run.generator).to(z.device)
            noise = torch.randn(len(empty), z.shape[1], generator=run.generator).to(z.device)
            centres[empty] = centres[donors] + NUDGE * z.std() * noise
        if spherical:
            centres = F.normalize(centres, dim=1)
    return centres, nearest(z, centres)


def nearest(z: Tensor, centres: Tensor) -> Tensor:
    """Of each row of z [n, d] the nearest centre of [k, d]: [n] int64."""
    return (z @ centres.T - centres.square().sum(1) / 2).argmax(1)


def means(z: Tensor, labels: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Means [k, d] and sizes [k] int64 of the clusters of rows z [n, d]; an empty one's mean is 0."""
    counts = labels.bincount(minlength=k)
    sums = torch.zeros(k, z.shape[1], device=z.device).index_add_(0, labels, z)
    return sums / counts.clamp(min=1)[:, None], counts


def whitened(z: Tensor, components: int) -> Tensor:
    """Rows of z [n, d] in their leading principal components, each of variance one, then of length one: [n, c]."""
    z = (z - z.mean(0)).double()
    values, axes = torch.linalg.eigh(z.T @ z / len(z))
    kept = (values > 1e-9 * values[-1]).nonzero()[-components:, 0]
    return F.normalize(z @ axes[:, kept] / values[kept].sqrt(), dim=1).float()
