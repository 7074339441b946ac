"""k-medoids by FasterPAM: k rows of the data stand for their clusters; swaps are made as soon as they help.

Schubert, Rousseeuw, "Fast and eager k-medoids clustering: O(k) runtime improvement of the PAM, CLARA, and CLARANS
algorithms", Information Systems 2021. arXiv:2008.05171.
Idea: like k-means, but centres are rows and the loss is the sum of distances, not of squares. For each row that might
become a medoid, the changes of the loss for all k medoids it might replace are found in one pass; the best swap is made
at once if it lowers the loss. Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.metrics import pairwise_distances
from torch import Tensor

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import flat
from methods.run import Run


@dataclass
class KMedoids(Method):
    """The package of the paper's authors, on Euclidean distances between the inputs. Under the GPL: the extra `gpl`."""

    card = Card(
        title="Fast and eager k-medoids clustering",
        authors="Schubert, Rousseeuw",
        year=2021,
        arxiv="2008.05171",
        told={"k"},
        max_n=20000,
        requires=("kmedoids",),
        schedule="until no swap lowers the loss",
        settings={"smoke": {"starts": 1}, "quick": {"starts": 2}},
    )

    starts: int = 10  # ours, as many as protocol v1 gives k-means; the paper advises random starts, of which this takes the best
    swaps: int = 100  # the authors' default: passes at most

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Finds all distances, then the best of `starts` searches from random medoids."""
        import kmedoids

        x = flat(inputs.train)
        distances = pairwise_distances(x.numpy())
        least = float("inf")
        for _ in run.epochs(self.starts, snapshots=False):
            found = kmedoids.fasterpam(distances, k, max_iter=self.swaps, init="random", random_state=run.integer(), n_cpu=1)
            run.log(loss=float(found.loss) / len(x))
            if found.loss < least:
                least, self.medoids = found.loss, x[torch.from_numpy(found.medoids.astype("int64"))]

    def assign(self, x: Tensor) -> Tensor:
        """The nearest medoid: [n] int64."""
        parts = [torch.cdist(flat(part), self.medoids, compute_mode="donot_use_mm_for_euclid_dist") for part in x.split(4096)]
        return torch.cat(parts).argmin(1)
