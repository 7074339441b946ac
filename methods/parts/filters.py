"""Changes of pixels by their neighbours, their place or their own value, in whole batches: blur, cutout, solarise and others.

Each takes images [b, c, h, w] in 0..1 and one parameter an image, and gives new images of the same shape. They agree with
torchvision's functions of one image.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = 256


def blurred(x: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Gaussian blur of standard deviation sigma [b] in pixels, cut off at `radius`; images are reflected at their borders."""
    offsets = torch.arange(-radius, radius + 1, device=x.device)
    weights = torch.softmax(-(offsets / sigma[:, None]).square() / 2, dim=1)
    # The blur of a column is a matrix, and so is that of a row.
    down, across = (_reflected(weights, offsets, side)[:, None] for side in x.shape[-2:])
    return down @ x @ across.transpose(2, 3)


def _reflected(weights: Tensor, offsets: Tensor, side: int) -> Tensor:
    """Matrices [b, side, side] of weights [b, taps] that reach over the border and fall back into the image."""
    place = (torch.arange(side, device=weights.device)[:, None] + offsets).abs()
    place = torch.where(place >= side, 2 * (side - 1) - place, place)
    taps = weights[:, None].expand(-1, side, -1)
    return weights.new_zeros(len(weights), side, side).scatter_add_(2, place.expand_as(taps), taps)


def solarised(x: Tensor, threshold: Tensor | float) -> Tensor:
    """Inverts what is at least as bright as the threshold, [b] or one for all."""
    if isinstance(threshold, Tensor):
        threshold = threshold.view(-1, 1, 1, 1)
    return torch.where(x >= threshold, 1 - x, x)


def cut_out(x: Tensor, row: Tensor, column: Tensor, half: int) -> Tensor:
    """Cutout (DeVries and Taylor, arXiv 1708.04552): a black square of side 2·half about pixels [b], cut off at the border."""
    inside = []
    for side, centre in ((x.shape[-2], row), (x.shape[-1], column)):
        place = torch.arange(side, device=x.device) - centre[:, None]
        inside.append((place >= -half) & (place < half))
    return x.masked_fill((inside[0][:, :, None] & inside[1][:, None, :])[:, None], 0.0)


def posterised(x: Tensor, bits: Tensor) -> Tensor:
    """Keeps 2^bits levels of brightness; bits: [b]."""
    levels = (2.0**bits).view(-1, 1, 1, 1)
    return torch.minimum((x * levels).floor(), levels - 1) / levels


def sharpened(x: Tensor, factor: Tensor) -> Tensor:
    """Moves an image away from its smoothed self: 0 is smooth, 1 the image; factor: [b]. The outermost pixels stay."""
    kernel = torch.ones(3, 3, device=x.device)
    kernel[1, 1] = 5
    smooth = x.clone()
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(x.flatten(0, 1)[:, None], (kernel / 13)[None, None]).view(
        *x.shape[:2], *(side - 2 for side in x.shape[2:])
    )
    return torch.lerp(smooth, x, factor.view(-1, 1, 1, 1)).clamp_(0, 1)


def stretched(x: Tensor) -> Tensor:
    """Autocontrast: each channel's darkest pixel becomes 0 and its brightest 1; a flat channel stays."""
    low, span = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True) - x.amin((2, 3), keepdim=True)
    return torch.where(span > 0, ((x - low) / span.clamp_min(torch.finfo(x.dtype).tiny)).clamp_(0, 1), x)


def equalised(x: Tensor) -> Tensor:
    """Evens out each channel's histogram of 256 levels, as PIL's equalize."""
    level = (x * (LEVELS - 1e-3)).long().flatten(2)
    counts = torch.zeros(*x.shape[:2], LEVELS, dtype=torch.long, device=x.device).scatter_add_(2, level, torch.ones_like(level))
    upto = counts.cumsum(2)
    brightest = counts.gather(2, level.amax(2, keepdim=True))
    step = (level.shape[2] - brightest) // (LEVELS - 1)
    table = (upto - counts + step // 2) // step.clamp_min(1)
    table = torch.where(step > 0, table.clamp_(0, LEVELS - 1), torch.arange(LEVELS, device=x.device))
    return (table.gather(2, level).to(x.dtype) / (LEVELS - 1)).view_as(x)
