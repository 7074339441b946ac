"""Untrained encoder: the backbone of the image methods with its random first weights. A floor for what training adds.

He et al., "Delving Deep into Rectifiers", ICCV 2015, arXiv:1502.01852, for the initial weights (PyTorch's variant).
Batch-norm statistics come from one pass over the inputs; no weight is trained.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import batches, pixels, through
from methods.parts.encoders import encoder, image_shape
from methods.run import Run


@dataclass
class RandomEncoder(Method):
    """`embed` gives the output of a network that has learned nothing but the scale of its inputs."""

    card = Card(
        title="Untrained encoder",
        authors="He, Zhang, Ren, Sun",
        year=2015,
        arxiv="1502.01852",
        told=set(),
        modalities={"image"},
        bound=True,
        tuning="none",
        schedule="no training",
    )

    backbone: str = "small"  # as SimCLR's here, so that the two differ by training alone
    batch: int = 256  # as SimCLR's here

    def build(self, shape: tuple[int, ...], k: int | None) -> None:
        """The backbone for images of `shape` [c, h, w], as they come to the network."""
        self.network = encoder(shape, self.backbone)

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Sets the running means and variances of batch norm to their averages over one pass."""
        self.build(image_shape(inputs.train), k)
        self.network.to(run.device).train()
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None  # the plain average over batches
        with torch.no_grad():
            for index in batches(len(inputs.train), self.batch, run.generator):
                self.network(pixels(inputs.train[index]).to(run.device))

    def embed(self, x: Tensor) -> Tensor:
        """[n, width] float32."""
        return through(self.network, x, pixels)
