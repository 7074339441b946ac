"""k-means from scikit-learn, seeded by the run: the start of every method that begins with centres."""

from __future__ import annotations

import torch
from sklearn.cluster import KMeans
from torch import Tensor

from methods.run import Run


def kmeans(z: Tensor, k: int, run: Run, *, starts: int) -> tuple[Tensor, Tensor]:
    """Centres [k, d] float32 and labels [n] int64 of the best of `starts` k-means++ runs on z [n, d]."""
    found = KMeans(k, n_init=starts, random_state=run.integer()).fit(z.cpu().float().numpy())
    centres = torch.from_numpy(found.cluster_centers_).float()
    return centres.to(z.device), torch.from_numpy(found.labels_).long().to(z.device)
