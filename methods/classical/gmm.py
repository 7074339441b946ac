"""GMM: a mixture of k Gaussians with full covariances on the principal components.

Dempster, Laird, Rubin, "Maximum likelihood from incomplete data via the EM algorithm", JRSS B 1977.
Deviates: fitted on principal components with a ridge on every covariance, without which it is singular on images.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.principal import Principal
from methods.run import Run


@dataclass
class GMM(Method):
    """Expectation maximisation from a k-means start."""

    card = Card(
        title="Gaussian mixture on PCA",
        authors="Dempster, Laird, Rubin",
        year=1977,
        url="https://www.jstor.org/stable/2984875",
        told={"k"},
        schedule="EM to convergence",
        deviations=["fitted on 50 principal components, with a ridge on every covariance"],
        settings={"smoke": {"iterations": 5}},
    )

    components: int = 50  # ours
    ridge: float = 0.001  # ours: keeps the covariance of a small cluster regular
    iterations: int = 200  # ours: at most
    tolerance: float = 0.001  # scikit-learn's default: gain of the mean log-likelihood

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Projects, then runs EM."""
        self._principal = Principal(inputs.train, self.components, run)
        mixture = GaussianMixture(
            k,
            covariance_type="full",
            reg_covar=self.ridge,
            max_iter=self.iterations,
            tol=self.tolerance,
            random_state=run.integer(),
        )
        with warnings.catch_warnings():
            # a run that reached `iterations` counts as it stands
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._mixture = mixture.fit(self.embed(inputs.train).double().numpy())

    def embed(self, x: Tensor) -> Tensor:
        """Principal components [n, c] float32."""
        return self._principal(x)

    def assign_soft(self, x: Tensor) -> Tensor:
        """Responsibilities [n, k] float32."""
        return torch.from_numpy(self._mixture.predict_proba(self.embed(x).double().numpy())).float()

    def assign(self, x: Tensor) -> Tensor:
        """The most responsible Gaussian: [n] int64."""
        return torch.from_numpy(self._mixture.predict(self.embed(x).double().numpy())).long()
