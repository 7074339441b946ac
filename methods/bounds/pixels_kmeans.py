"""k-means on the inputs as they are: what a method must beat to have learned anything.

Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 1982.
Start: Arthur, Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
Deviates: nothing known.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import flat
from methods.run import Run


@dataclass
class PixelsKmeans(Method):
    """The embedding is the input; the harness clusters it, as it does every embedding, with k-means++ and 10 starts."""

    card = Card(
        title="k-means on the inputs",
        authors="Lloyd",
        year=1982,
        url="https://doi.org/10.1109/TIT.1982.1056489",
        bound=True,
        told={"k"},
        schedule="10 starts, to convergence",
    )

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Nothing is learned: protocol v1 runs the k-means."""

    def embed(self, x: Tensor) -> Tensor:
        """The inputs as vectors: [n, d] float32."""
        return flat(x)
