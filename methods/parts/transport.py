"""Optimal transport between rows and clusters: balanced Sinkhorn, in the log domain.

Cuturi, "Sinkhorn Distances: Lightspeed Computation of Optimal Transport", NeurIPS 2013. arXiv:1306.0895.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


@torch.no_grad()
def sinkhorn(scores: Tensor, *, epsilon: float, iterations: int) -> Tensor:
    """The plan Q [n, k] float32 that maximises <Q, scores> + epsilon · H(Q), times n: its rows sum to 1, its columns to n/k.

    scores: [n, k], higher is nearer. Each iteration makes the columns right, then the rows; so rows sum to 1 exactly.
    """
    log_q = scores.float() / epsilon
    n, k = log_q.shape
    for _ in range(iterations):
        log_q = log_q - log_q.logsumexp(0, keepdim=True) + math.log(n / k)
        log_q = log_q - log_q.logsumexp(1, keepdim=True)
    return log_q.exp()
