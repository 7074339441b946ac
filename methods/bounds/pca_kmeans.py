"""PCA + k-means: k-means on the leading principal components, the linear embedding that a deep one must beat.

Pearson, "On lines and planes of closest fit to systems of points in space", Philosophical Magazine 1901.
Deviates: nothing known.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.principal import Principal
from methods.run import Run


@dataclass
class PcaKmeans(Method):
    """The embedding is the principal components; the harness clusters it with k-means++ and 10 starts."""

    card = Card(
        title="PCA + k-means",
        authors="Pearson",
        year=1901,
        url="https://doi.org/10.1080/14786440109462720",
        bound=True,
        told={"k"},
        schedule="closed form",
    )

    components: int = 50  # ours: the field's usual number; fewer where n or d is smaller

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Finds the principal components."""
        self._principal = Principal(inputs.train, self.components, run)

    def embed(self, x: Tensor) -> Tensor:
        """Principal components [n, c] float32."""
        return self._principal(x)
