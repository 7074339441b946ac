"""A Gaussian mixture as the start of methods that begin with centres: it finds clusters that are long in some directions."""

from __future__ import annotations

import warnings

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from methods.run import Run


def mixture(z: Tensor, k: int, run: Run, *, starts: int, ridge: float = 1e-3) -> tuple[Tensor, Tensor]:
    """Means [k, d] and the clusters' common covariance [d, d], float32, of the likeliest of `starts` mixtures on z [n, d].

    Each component has a covariance of its own, to which `ridge` is added; the common one is that of rows about their means.
    """
    rows = z.double().cpu()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = GaussianMixture(k, reg_covar=ridge, max_iter=300, n_init=starts, random_state=run.integer()).fit(rows.numpy())
    means = torch.from_numpy(found.means_)
    apart = rows - means[torch.from_numpy(found.predict(rows.numpy()))]
    within = apart.T @ apart / len(rows) + ridge * torch.eye(rows.shape[1], dtype=rows.dtype)
    return means.to(z), within.to(z)
