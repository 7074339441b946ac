"""Convolutional AE + k-means: k-means on the code of a convolutional autoencoder.

The start of Guo, Liu, Zhu, Yin, "Deep Clustering with Convolutional Autoencoders", ICONIP 2017.
Idea: three convolutions of stride 2 and a linear layer give a code of ten numbers, from which the mirrored network
rebuilds the image; k-means on the codes of all rows.
Deviates: see the card.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.autoencoders import Autoencoder
from methods.parts.batches import autocast, batches, through
from methods.parts.schedules import warm_cosine
from methods.run import Run


@dataclass
class ConvAeKmeans(Method):
    """A convolutional autoencoder; the harness clusters its code with k-means++ and 10 starts."""

    card = Card(
        title="Convolutional autoencoder + k-means",
        authors="Guo, Liu, Zhu, Yin",
        year=2017,
        url="https://doi.org/10.1007/978-3-319-70096-0_39",
        told={"k"},
        own_clusters=False,
        tuned_on={"mnist", "mnist-test", "usps"},
        tuning="ours: 2 trials (1 seed): 30 epochs on mnist-test, before the larger start of the weights, ACC 0.514; 15 on usps, "
        "0.597",
        modalities={"image"},
        schedule="200 epochs",
        deviations=[
            "half as many channels, and 15 epochs, for the cost; on usps k-means was best after 4 epochs and fell as the "
            "reconstruction got better, from 0.65 to 0.60",
            "codes are shifted and scaled to one standard deviation, which the decoder undoes",
        ],
        settings={
            "smoke": {"epochs": 2},
            "quick": {"epochs": 5},
            "paper": {"epochs": 200, "widths": (32, 64, 128)},
        },
    )

    widths: tuple = (16, 32, 64)  # ours; section 3.1 has 32, 64, 128
    code: int = 10  # section 3.1
    epochs: int = 15  # ours, for the cost
    batch_size: int = 256  # section 4.2
    lr: float = 0.002  # ours, falling to 0
    spread: float = 2.0  # ours: the codes' standard deviation, as in ae_kmeans
    precision: str = "bf16"  # ours

    def build(self, shape: tuple[int, ...], k: int | None) -> None:
        """Makes the autoencoder for images of `shape` [c, h, w]; k plays no part in it."""
        self.network = ConvAutoencoder(shape, self.widths, self.code)

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Trains encoder and decoder on the reconstruction error."""
        x = inputs.train
        self.build(tuple(x.shape[1:]), k)
        square = sum(float(images(part).double().square().sum()) for part in x.split(4096))
        self.network.encoder.scale.fill_((square / x.numel()) ** -0.5 if square else 1.0)
        self.network.to(run.device).train()
        optimiser = torch.optim.Adam(self.network.parameters(), lr=self.lr, fused=True)
        schedule = warm_cosine(optimiser, self.epochs * -(-len(x) // self.batch_size), 0)
        for _ in run.epochs(self.epochs, keep={"network": self.network, "optimiser": optimiser, "schedule": schedule}):
            for rows in batches(len(x), self.batch_size, run.generator):
                with autocast(self.precision, run.device):
                    _, loss = self.network(images(x[rows].to(run.device)))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                run.log(reconstruction=loss)
        self.network.standardise(self.embed(x).to(run.device), self.spread)
        self.network.eval()

    def embed(self, x: Tensor) -> Tensor:
        """Codes [n, code] float32."""
        return through(self.network.encoder, x, images)


def images(x: Tensor) -> Tensor:
    """Images [n, c, h, w] uint8 as float32 in 0..1, at their own size."""
    return x.float() / 255


class ConvEncoder(nn.Module):
    """Images [b, c, h, w] in 0..1 to codes [b, code] float32: convolutions of stride 2 with ReLU, then a linear layer.

    scale: the factor that brings inputs to mean square 1; kept with the weights.
    """

    def __init__(self, shape: Sequence[int], widths: Sequence[int], code: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(()))
        sides = [5] * (len(widths) - 1) + [3]
        steps = zip(pairwise([shape[0], *widths]), sides, strict=True)
        self.body = nn.ModuleList(nn.Conv2d(inner, outer, side, 2, side // 2) for (inner, outer), side in steps)
        planes = [tuple(shape[1:])]
        for _ in widths:
            planes.append(((planes[-1][0] + 1) // 2, (planes[-1][1] + 1) // 2))
        self.planes = planes  # heights and widths, from the image's to the last layer's
        self.code = nn.Linear(widths[-1] * planes[-1][0] * planes[-1][1], code)

    def forward(self, x: Tensor) -> Tensor:
        """Codes [b, code] of images x [b, c, h, w]."""
        z = (x * self.scale).contiguous(memory_format=torch.channels_last)
        for layer in self.body:
            z = F.relu(layer(z))
        # distances between codes decide the clusters, and bf16 has three digits
        with torch.autocast(x.device.type, enabled=False):
            return self.code(z.flatten(1).float())


class ConvAutoencoder(nn.Module):
    """Encoder and mirrored decoder, linear at its output, for images of `shape` [c, h, w]."""

    standardise = Autoencoder.standardise  # the code lies between two linear layers here too

    def __init__(self, shape: Sequence[int], widths: Sequence[int], code: int) -> None:
        super().__init__()
        self.encoder = ConvEncoder(shape, widths, code)
        turned = [nn.ConvTranspose2d(c.out_channels, c.in_channels, c.kernel_size, 2, c.padding) for c in self.encoder.body]
        self.decoder = nn.ModuleList([nn.Linear(code, self.encoder.code.in_features), *reversed(turned)])
        for layer in [*self.encoder.body, *self.decoder]:
            # PyTorch's own start is too small for a stack of ReLUs; each pixel is fed by a quarter of a turned kernel
            fan = layer.weight[:, 0].numel() / 4 if isinstance(layer, nn.ConvTranspose2d) else layer.weight[0].numel()
            nn.init.normal_(layer.weight, std=(2 / fan) ** 0.5)
            nn.init.zeros_(layer.bias)
        self.to(memory_format=torch.channels_last)

    def decoded(self, code: Tensor) -> Tensor:
        """Scaled images [b, c, h, w] of codes [b, code]."""
        first, *others = self.decoder
        planes = self.encoder.planes
        z = F.relu(first(code)).unflatten(1, (-1, *planes[-1])).contiguous(memory_format=torch.channels_last)
        for layer, plane in zip(others, planes[-2::-1], strict=True):
            z = layer(z, output_size=list(plane))
            z = z if layer is others[-1] else F.relu(z)
        return z

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Codes [b, code] and the mean squared error of the reconstruction of images x [b, c, h, w], a scalar."""
        code = self.encoder(x)
        return code, F.mse_loss(self.decoded(code).float(), x * self.encoder.scale)
