"""The normal-inverse-Wishart prior of a Gaussian: posterior, marginal likelihood, and the most probable Gaussian."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class NIW:
    """Prior of mean and covariance in d dimensions. mean: [d]; kappa: its pseudo-count; psi: [d, d]; nu > d − 1.

    With a leading axis ([k, d], [k], [k, d, d], [k]) it stands for k of them.
    """

    mean: Tensor
    kappa: Tensor
    psi: Tensor
    nu: Tensor

    def posterior(self, x: Tensor, weights: Tensor) -> NIW:
        """The k posteriors after rows x [n, d] with weights [n, k], in float64."""
        x, weights = x.double(), weights.double()
        n = weights.sum(0)
        centre = (weights.T @ x) / n.clamp_min(1e-12)[:, None]
        moment = torch.stack([(x * column[:, None]).T @ x for column in weights.T])
        scatter = moment - n[:, None, None] * _outer(centre)
        kappa, nu = self.kappa + n, self.nu + n
        mean = (self.kappa * self.mean + n[:, None] * centre) / kappa[:, None]
        psi = self.psi + scatter + (self.kappa * n / kappa)[:, None, None] * _outer(centre - self.mean)
        return NIW(mean, kappa, psi, nu)

    def log_marginal(self, x: Tensor, weights: Tensor) -> Tensor:
        """log f(X_j; λ) [k] of the rows with weight 1 in column j of `weights` [n, k], Gaussian parameters integrated out.

        f = π^(−nd/2) · Γ_d(ν*/2) / Γ_d(ν/2) · |ψ|^(ν/2) / |ψ*|^(ν*/2) · (κ/κ*)^(d/2), * for the posterior.
        """
        after, d, n = self.posterior(x, weights), x.shape[1], weights.double().sum(0)
        return (
            -n * d / 2 * math.log(math.pi)
            + torch.mvlgamma(after.nu / 2, d)
            - torch.mvlgamma(self.nu / 2, d)
            + self.nu / 2 * torch.logdet(self.psi)
            - after.nu / 2 * torch.logdet(after.psi)
            + d / 2 * (self.kappa.log() - after.kappa.log())
        )

    def mode(self) -> tuple[Tensor, Tensor]:
        """The most probable mean [..., d] and covariance [..., d, d]."""
        d = self.psi.shape[-1]
        return self.mean, self.psi / (self.nu + d + 2)[..., None, None]


def _outer(rows: Tensor) -> Tensor:
    """Outer products [k, d, d] of rows [k, d] with themselves."""
    return rows[:, :, None] * rows[:, None, :]
