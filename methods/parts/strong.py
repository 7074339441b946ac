"""Strong views in the manner of RandAugment, each image with operations of its own.

Cubuk, Zoph, Shlens, Le, "RandAugment", NeurIPS 2020, arXiv:1909.13719. Operations and their ranges are torchvision's. Those of
geometry are composed into the one map by which an image is resampled, so they come before those of colour, and beyond its
border an image goes on as it ends; shears are about the image's centre.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from methods.parts.colour import NEUTRAL, recolour
from methods.parts.filters import equalised, posterised, sharpened, solarised, stretched

TURN = math.radians(30)  # at full strength, as all here
SLANT = 0.3
SHIFT = 150 / 331  # of the side
BLEND = 0.9
BITS = 4  # taken away


def _blended(column: int) -> Callable[[Tensor, Tensor], Tensor]:
    """A change of brightness, contrast or saturation by a factor of 1 + 0.9·strength."""

    def change(x: Tensor, strength: Tensor) -> Tensor:
        factors = torch.tensor(NEUTRAL, device=x.device).repeat(len(x), 1)
        factors[:, column] += BLEND * strength
        return recolour(x, factors, torch.zeros(len(x), dtype=torch.bool, device=x.device))

    return change


GEOMETRY = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
COLOURS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": _blended(0),
    "contrast": _blended(1),
    "colour": _blended(2),
    "sharpness": lambda x, strength: sharpened(x, 1 + BLEND * strength),
    "posterise": lambda x, strength: posterised(x, 8 - (BITS * strength.abs()).round()),
    "solarise": lambda x, strength: solarised(x, 1 - strength.abs()),
    "autocontrast": lambda x, _: stretched(x),
    "equalise": lambda x, _: equalised(x),
}
OPERATIONS = ("identity", *GEOMETRY, *COLOURS)


def draw_operations(
    b: int, count: int, magnitude: tuple[float, float], generator: torch.Generator
) -> list[tuple[Tensor, Tensor]]:
    """`count` operations for each image: their numbers in OPERATIONS, [b] int64, and strengths in −1..1, [b].

    Operations are drawn evenly and with repetition, strengths uniform in `magnitude`, either way.
    """
    drawn = []
    for _ in range(count):
        kind = torch.randint(len(OPERATIONS), (b,), generator=generator)
        size, side = torch.rand(2, b, generator=generator)
        size = magnitude[0] + (magnitude[1] - magnitude[0]) * size
        drawn.append((kind, torch.where(side < 0.5, size, -size)))
    return drawn


def operation_maps(kind: Tensor, strength: Tensor) -> Tensor:
    """The maps [b, 2, 3] from output to input of an operation of geometry; the identity where it is another one."""
    shear_x, shear_y, right, down, turn = (torch.where(kind == OPERATIONS.index(name), strength, 0.0) for name in GEOMETRY)
    cos, sin = (TURN * turn).cos(), (TURN * turn).sin()
    rows = [[cos, SLANT * shear_x - sin, -2 * SHIFT * right], [SLANT * shear_y + sin, cos, -2 * SHIFT * down]]
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def operated(x: Tensor, kind: Tensor, strength: Tensor) -> Tensor:
    """Images [b, c, h, w] after an operation of colour; as they were where it is another one."""
    for name, change in COLOURS.items():
        rows = (kind == OPERATIONS.index(name)).nonzero()[:, 0].to(x.device)
        if len(rows):
            x = x.index_copy(0, rows, change(x[rows], strength.to(x.device)[rows]))
    return x
