"""Slow copies of networks, and memories of what networks gave: what methods compare their views against."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Teacher(nn.Module):
    """A copy of a network that follows it by an exponential moving average; no gradient enters it.

    follow(source, momentum) sets every weight to momentum · itself + (1 − momentum) · the source's; buffers (batch norm's
    statistics are its own) stay its own.
    """

    def __init__(self, source: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(source).requires_grad_(False)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """The copy's output, without gradients."""
        return self.network(x)

    @torch.no_grad()
    def follow(self, source: nn.Module, momentum: float) -> None:
        """One step towards the source."""
        own, others = list(self.network.parameters()), list(source.parameters())
        torch._foreach_lerp_(own, others, 1 - momentum)


def momentum(base: float, done: float) -> float:
    """From `base` at the start to 1 at the end along a half cosine (BYOL, section 3.2). done: the part of training behind."""
    return 1 - (1 - base) * (math.cos(math.pi * done) + 1) / 2


class Queue(nn.Module):
    """The last `size` rows that were put in, [size, d] float32, of length one; before that random directions.

    As buffers of a module its rows are part of checkpoints.
    """

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("rows", F.normalize(torch.randn(size, dim), dim=1))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def put(self, rows: Tensor) -> None:
        """Puts rows [b, d] in place of the oldest; of more than `size` the last stay."""
        size = len(self.rows)
        rows = rows[-size:].detach().float()
        places = (self.place + torch.arange(len(rows), device=rows.device)) % size
        self.rows[places] = rows
        self.place.copy_((self.place + len(rows)) % size)
