"""Inputs in memory: as network inputs, in batches by index, and through a network in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GREY_SIDE = 28  # small grey images are brought to this side before a convolutional network


def flat(x: Tensor) -> Tensor:
    """Inputs as vectors: images [n, c, h, w] uint8 become [n, c·h·w] float32 in 0..1; vectors pass."""
    return x.flatten(1).float() / 255 if x.dtype == torch.uint8 else x.flatten(1).float()


def pixels(x: Tensor) -> Tensor:
    """Images [n, c, h, w] uint8 as [n, c, h, w] float32 in 0..1; small grey ones are resized to 28×28, bilinear."""
    x = x.float() / 255
    if x.shape[1] == 1 and x.shape[-1] < GREY_SIDE:
        x = F.interpolate(x, size=(GREY_SIDE, GREY_SIDE), mode="bilinear", align_corners=False)
    return x


def batches(n: int, size: int, generator: torch.Generator, *, drop_last: bool = False) -> Iterator[Tensor]:
    """Index batches [b] int64 of one shuffled pass over n rows; drop_last leaves out a smaller last batch.

    With n below size there is one batch of n.
    """
    order = torch.randperm(n, generator=generator)
    stop = n - n % size if drop_last and n >= size else n
    for start in range(0, stop, size):
        yield order[start : start + size]


def through(network: Callable[[Tensor], Tensor], x: Tensor, prepare: Callable[[Tensor], Tensor], *, size: int = 1024) -> Tensor:
    """network(prepare(x)) in chunks, in evaluation mode and float32, without gradients; back on x's device, mode kept."""
    module = network if isinstance(network, nn.Module) else getattr(network, "__self__", None)
    training = isinstance(module, nn.Module) and module.training
    if isinstance(module, nn.Module):
        module.eval()
    weight = next(module.parameters(), None) if isinstance(module, nn.Module) else None
    device = weight.device if weight is not None else x.device
    with torch.no_grad():
        out = [network(prepare(x[start : start + size].to(device))).float().to(x.device) for start in range(0, len(x), size)]
    if isinstance(module, nn.Module) and training:
        module.train()
    return torch.cat(out)


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The forward pass's context: `bf16` or `fp32`, never chosen by the hardware."""
    if precision not in ("bf16", "fp32"):
        raise ValueError(f"precision is {precision!r}; allowed: bf16, fp32")
    return torch.autocast(device_type=device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
