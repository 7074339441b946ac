"""Principal components of inputs in memory."""

from __future__ import annotations

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from methods.parts.batches import flat
from methods.run import Run


class Principal:
    """Maps inputs [n, ...] (as `flat` takes them) to their leading components, at most min(n, d), variances kept.

    scikit-learn's solver: exact for small d, randomised with power iterations (seeded by the run) for large.
    """

    def __init__(self, x: Tensor, components: int, run: Run) -> None:
        vectors = flat(x)
        self._pca = PCA(min(components, *vectors.shape), random_state=run.integer()).fit(vectors.numpy())

    def __call__(self, x: Tensor) -> Tensor:
        """Components [n, c] float32 of x."""
        return torch.from_numpy(self._pca.transform(flat(x).numpy())).float()
