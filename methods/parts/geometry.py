"""Where the pixels of a view come from: crops, affine maps of whole batches, and their one bilinear resampling."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

TRIES = 10  # redraws of a crop that doesn't fit, as torchvision's RandomResizedCrop; then the whole image


def draw_crops(
    b: int, scale: tuple[float, float], ratio: tuple[float, float], aspect: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Crops as torchvision's RandomResizedCrop draws them, but not rounded to pixels.

    Width, height and centre, each [b], in parts of the image's side: area uniform in `scale`, log ratio uniform in `ratio`;
    a crop that doesn't fit is drawn again.
    """
    area, shape = torch.rand(2, TRIES, b, generator=generator)
    area = scale[0] + area * (scale[1] - scale[0])
    shape = (math.log(ratio[0]) + shape * math.log(ratio[1] / ratio[0])).exp() / aspect
    widths, heights = (area * shape).sqrt(), (area / shape).sqrt()
    fits = (widths <= 1) & (heights <= 1)
    first = fits.int().argmax(dim=0, keepdim=True)
    found = fits.any(dim=0)
    width = torch.where(found, widths.gather(0, first)[0], 1.0)
    height = torch.where(found, heights.gather(0, first)[0], 1.0)
    cx, cy = torch.rand(2, b, generator=generator)
    return width, height, width / 2 + cx * (1 - width), height / 2 + cy * (1 - height)


def affine_maps(width: Tensor, height: Tensor, cx: Tensor, cy: Tensor, *, mirror: Tensor, angle: Tensor, slant: Tensor) -> Tensor:
    """Maps [b, 2, 3] from output to input coordinates in −1..1: rotation about the crop's centre after slant and mirror.

    Crop in parts of the image's side; angle in radians, positive turns the picture counter-clockwise; slant a tangent.
    """
    cos, sin = angle.cos(), angle.sin()
    rows = [
        [width * mirror * cos, width * mirror * (cos * slant - sin), 2 * cx - 1],
        [height * sin, height * (sin * slant + cos), 2 * cy - 1],
    ]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def followed(maps: Tensor, after: Tensor) -> Tensor:
    """One map for two: what is seen through `maps` is seen once more through `after`, both [b, 2, 3]."""
    linear, offset = maps.split([2, 1], dim=2)
    return torch.cat([linear @ after[:, :, :2], linear @ after[:, :, 2:] + offset], dim=2)


def shifts(right: Tensor, down: Tensor) -> Tensor:
    """Maps [b, 2, 3] that move the picture by parts [b] of its side."""
    one, none = torch.ones_like(right), torch.zeros_like(right)
    rows = [[one, none, -2 * right], [none, one, -2 * down]]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def resample(x: Tensor, maps: Tensor, side: int | None = None) -> Tensor:
    """Images [b, c, h, w] seen through affine maps [b, 2, 3], bilinear; beyond its border an image goes on as it ends.

    side: height and width of what comes out, by default the images' own.
    """
    size = list(x.shape) if side is None else [*x.shape[:2], side, side]
    grid = F.affine_grid(maps, size, align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)
