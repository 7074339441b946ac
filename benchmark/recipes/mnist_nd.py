"""Writes `mnist-2d.npz` to `mnist-64d.npz`: latents of mixture VAEs trained on MNIST.

    python -m benchmark.recipes.mnist_nd --data FOLDER --out FOLDER

After Turishcheva, Hansel, Ritzert, Weis and Ecker, "MNIST-Nd: a set of naturalistic datasets to benchmark clustering across
dimensions", arXiv:2410.16124: a VAE whose prior is a mixture of ten Gaussians, its KL term weighted by the inverse of the
number of latent dimensions. Networks and schedule are ours. No label is used in training; they are copied to the files.
On one machine, with the same packages and number of threads, a seed gives the same files; elsewhere, files much like them.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor, nn

from benchmark.ground.errors import UserError
from benchmark.ground.files import replacing
from datasets import registry
from datasets.base import Raw
from datasets.source import Source

DIMENSIONS = (2, 4, 8, 16, 32, 64)
COMPONENTS, WIDTH, BATCH, LR = 10, 500, 256, 1e-3
EPOCHS = 50
BETA = 2.0  # the weight of the KL term is BETA / dimensions: 1, a plain VAE, in two dimensions


class MixtureVAE(nn.Module):
    """A fully connected VAE for pixels in 0..1 with a learnt mixture of Gaussians, of equal weights, for a prior."""

    def __init__(self, pixels: int, dimensions: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*_hidden(pixels), nn.Linear(WIDTH, 2 * dimensions))
        self.decoder = nn.Sequential(*_hidden(dimensions), nn.Linear(WIDTH, pixels))
        self.means = nn.Parameter(torch.randn(COMPONENTS, dimensions))
        self.log_variances = nn.Parameter(torch.zeros(COMPONENTS, dimensions))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log variances of q(z|x), each [n, dimensions]."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance

    def loss(self, x: Tensor, beta: float, generator: torch.Generator) -> Tensor:
        """Bernoulli reconstruction plus beta times log q(z|x) − log p(z) at one draw of z, mean over the batch [n, pixels]."""
        mean, log_variance = self.encode(x)
        noise = torch.randn(mean.shape, generator=generator)
        z = mean + (0.5 * log_variance).exp() * noise
        lost = nn.functional.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="none").sum(dim=1)
        posterior = log_normal(z, mean, log_variance)
        prior = log_normal(z[:, None], self.means, self.log_variances).logsumexp(dim=1) - math.log(COMPONENTS)
        return (lost + beta * (posterior - prior)).mean()


def log_normal(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log density of a Gaussian with a diagonal covariance, summed over the last axis."""
    return -0.5 * (math.log(2 * math.pi) + log_variance + (z - mean).square() * (-log_variance).exp()).sum(dim=-1)


def _hidden(width: int) -> list[nn.Module]:
    return [nn.Linear(width, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU()]


def train(x: Tensor, dimensions: int, epochs: int, seed: int) -> np.ndarray:
    """Means of the latents [n, dimensions] float32 of a model trained on x [n, pixels] float32 in 0..1."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = MixtureVAE(x.shape[1], dimensions)
    optimiser = torch.optim.Adam(model.parameters(), LR)
    for epoch in range(epochs):
        # The KL term comes in over the first tenth of the epochs; at full weight from the start it empties the latents.
        beta = BETA / dimensions * min(1.0, (epoch + 1) / max(1, epochs // 10))
        for rows in torch.randperm(len(x), generator=generator).split(BATCH):
            optimiser.zero_grad()
            loss = model.loss(x[rows], beta, generator)
            loss.backward()
            optimiser.step()
        typer.echo(f"{dimensions} dimensions, epoch {epoch + 1} of {epochs}: loss {loss.item():.2f}", err=True)
    with torch.no_grad():
        return torch.cat([model.encode(part)[0] for part in x.split(4096)]).numpy()


def write(path: Path, **arrays: Any) -> None:
    """The file that the loader reads, whole or not at all."""
    with replacing(path) as part, part.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def main(
    data: Annotated[Path, typer.Option(help="The folder that has MNIST, in torchvision's layout.")],
    out: Annotated[Path, typer.Option(help="Where the files are written; give it to `run` as --data.")],
    dimensions: Annotated[list[int], typer.Option(help="Of 2, 4, 8, 16, 32, 64; may be repeated.")] = DIMENSIONS,  # type: ignore[assignment]
    epochs: Annotated[int, typer.Option()] = EPOCHS,
    seed: Annotated[int, typer.Option()] = 0,
    smoke: Annotated[bool, typer.Option(help="512 images and one epoch, for tests; the loader refuses the files.")] = False,
) -> None:
    """Trains one model for each number of dimensions and writes its latents."""
    if wrong := set(dimensions) - set(DIMENSIONS):
        raise typer.BadParameter(f"no set has {min(wrong)} dimensions; choose of {', '.join(map(str, DIMENSIONS))}")
    try:
        raw = registry.get("mnist").load(Source(data, out, name="mnist"))
    except UserError as error:
        raise typer.BadParameter(str(error)) from error
    if smoke:
        epochs, raw = 1, Raw(raw.inputs[-512:], raw.labels[-512:], raw.split[-512:])
    x = torch.from_numpy(raw.inputs).flatten(1).float() / 255
    for d in dimensions:
        write(out / f"mnist-{d}d.npz", inputs=train(x, d, epochs, seed), labels=raw.labels, split=raw.split)


if __name__ == "__main__":
    typer.run(main)
