"""The fully connected autoencoder d-500-500-2000-10 of the DEC line of methods."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Encoder(nn.Module):
    """Vectors [b, d] to codes [b, code] float32. ReLU between layers, none on the code.

    scale: the factor that brings inputs to mean square 1; kept with the weights.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(()))
        self.body = _layers(sizes[:-1], last=True)
        self.code = nn.Linear(sizes[-2], sizes[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Codes [b, code] of vectors x [b, d]."""
        hidden = self.body(x * self.scale)
        # distances between codes decide the clusters, and bf16 has three digits
        with torch.autocast(x.device.type, enabled=False):
            return self.code(hidden.float())


class Autoencoder(nn.Module):
    """Encoder and mirrored decoder, linear at its output. sizes: widths from input to code."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.encoder = Encoder(sizes)
        self.decoder = _layers(list(reversed(sizes)), last=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Codes [b, code] and the mean squared error of the reconstruction of x [b, d], a scalar."""
        code = self.encoder(x)
        return code, F.mse_loss(self.decoder(code).float(), x * self.encoder.scale)

    @torch.no_grad()
    def standardise(self, codes: Tensor, spread: float) -> None:
        """Shifts and scales the code so that `codes` [n, code], its values now, get mean 0 and standard deviation `spread`.

        One shift and one factor, the deviation being a root mean square over dimensions: clusters of the codes stay what
        they are. The decoder undoes both, so reconstructions stay what they are.
        """
        mean = codes.mean(0)
        factor = spread / codes.var(0, correction=0).mean().sqrt().clamp_min(1e-12)
        inner = self.decoder[0]
        inner.bias += inner.weight @ mean
        inner.weight /= factor
        self.encoder.code.bias.sub_(mean).mul_(factor)
        self.encoder.code.weight *= factor


def _layers(sizes: Sequence[int], *, last: bool) -> nn.Sequential:
    """Linear layers with ReLU between them, and behind the last one where `last`."""
    layers: list[nn.Module] = []
    for inner, outer in pairwise(sizes):
        layers += [nn.Linear(inner, outer), nn.ReLU()]
    return nn.Sequential(*(layers if last else layers[:-1]))
