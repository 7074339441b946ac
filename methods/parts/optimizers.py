"""The optimisers of networks that are trained on views."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, AdamW, Optimizer

MOMENTUM = 0.9


def optimizer(name: str, weights: Iterable[Tensor], lr: float, weight_decay: float) -> Optimizer:
    """adamw; sgd with momentum 0.9; or lars. lr: as it comes, not scaled by the batch."""
    made: dict[str, Callable[[], Optimizer]] = {
        "adamw": lambda: AdamW(weights, lr=lr, weight_decay=weight_decay, fused=True),
        "sgd": lambda: SGD(weights, lr=lr, momentum=MOMENTUM, weight_decay=weight_decay),
        "lars": lambda: LARS(weights, lr=lr, weight_decay=weight_decay),
    }
    if name not in made:
        raise ValueError(f"optimizer is {name!r}; allowed: {', '.join(made)}")
    return made[name]()


class LARS(Optimizer):
    """Layer-wise adaptive rates (You, Gitman & Ginsburg, arXiv 1708.03888, algorithm 1), for large batches.

    Each layer's rate is lr · trust · ‖w‖ / (‖g‖ + decay · ‖w‖), with momentum. Biases and batch norms (tensors of one dimension)
    take plain steps without decay, as SimCLR and BYOL have it.
    """

    def __init__(
        self, weights: Iterable[Tensor], lr: float, *, weight_decay: float = 0.0, momentum: float = MOMENTUM, trust: float = 1e-3
    ) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "trust": trust})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One step of all weights that have a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._move(weight, group)

    def _move(self, weight: Tensor, group: dict[str, Any]) -> None:
        rate, gradient = group["lr"], weight.grad
        if weight.ndim > 1:
            decay, size = group["weight_decay"], weight.norm()
            ratio = group["trust"] * size / (gradient.norm() + decay * size)
            gradient = gradient + decay * weight
            rate = rate * torch.where(ratio.isfinite() & (ratio > 0), ratio, 1.0)  # no weights yet, or no gradient: plain
        velocity = self.state[weight].setdefault("velocity", torch.zeros_like(weight))
        velocity.mul_(group["momentum"]).add_(rate * gradient)
        weight.sub_(velocity)
