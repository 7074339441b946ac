"""Random views of whole batches, drawn for each image by itself: one resampling, then one colour matrix an image.

Crop, flip, rotation, shear and shift are one affine map and one bilinear resampling (`geometry`); brightness, contrast,
saturation, hue and greyscale one matrix (`colour`). Blur, solarise and cutout (`filters`) and RandAugment's operations
(`strong`) are computed for the images that drew them. What isn't asked for draws nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from methods.parts.colour import recolour, recolour_in_order
from methods.parts.filters import blurred, cut_out, solarised
from methods.parts.geometry import affine_maps, draw_crops, followed, resample, shifts
from methods.parts.strong import draw_operations, operated, operation_maps

ORDERS = ("fixed", "random")


@dataclass(frozen=True)
class Views:
    """What a view is. Call it: images [b, c, h, w] float in 0..1 to views of the same shape, one new draw an image.

    scale, ratio: area (of the image's) and aspect ratio of the crop. flip: probability of a mirror image. degrees, shear:
    the largest rotation, and the largest slant (a tangent), either way. jitter: probability of a change of colour, whose
    factors lie in 1 ± brightness, contrast, saturation; hue: the largest turn, as a part of the circle. grey: probability.
    order: `fixed` composes the changes of colour and clamps once; `random` is torchvision's ColorJitter, several times slower.
    shift: the largest move, a part of the side, either way. side: height and width of the view, where not the image's.
    strong: operations of RandAugment an image; magnitude: their strengths. blur: probability; sigma: in pixels.
    solarise: probability; all from 0.5 on is inverted. cutout: probability; hole: the square's side, a part of the image's.
    """

    scale: tuple[float, float]
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.0
    degrees: float = 0.0
    shear: float = 0.0
    jitter: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey: float = 0.0
    order: str = "fixed"
    shift: float = 0.0
    side: int | None = None
    strong: int = 0
    magnitude: tuple[float, float] = (0.3, 0.3)  # RandAugment's default in torchvision, 9 of 30
    blur: float = 0.0
    sigma: tuple[float, float] = (0.1, 1.0)
    solarise: float = 0.0
    cutout: float = 0.0
    hole: float = 0.5

    def __post_init__(self) -> None:
        if self.order not in ORDERS:
            raise ValueError(f"order is {self.order!r}; allowed: {', '.join(ORDERS)}")

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """One view of each image; every draw comes from the generator (a CPU one), in a fixed order."""
        maps = self.draw_affine(len(x), x.shape[-1] / x.shape[-2], generator)
        operations = draw_operations(len(x), self.strong, self.magnitude, generator)
        for operation in operations:
            maps = followed(maps, operation_maps(*operation))
        x = self._recolour(resample(x, maps.to(x.device), self.side), generator)
        for operation in operations:
            x = operated(x, *operation)
        return self._filtered(x, generator)

    def draw_affine(self, b: int, aspect: float, generator: torch.Generator) -> Tensor:
        """Affine maps from output to input coordinates in −1..1: [b, 2, 3]. aspect: width over height of the images."""
        width, height, cx, cy = draw_crops(b, self.scale, self.ratio, aspect, generator)
        mirror = 1 - 2 * (torch.rand(b, generator=generator) < self.flip).float()
        angle, slant = _between(b, math.radians(self.degrees), generator), _between(b, self.shear, generator)
        maps = affine_maps(width, height, cx, cy, mirror=mirror, angle=angle, slant=slant)
        if self.shift == 0:
            return maps
        return followed(maps, shifts(_between(b, self.shift, generator), _between(b, self.shift, generator)))

    def draw_colours(self, b: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Factors of brightness, contrast, saturation and hue, [b, 4], and which images turn grey, [b] bool."""
        changed = torch.rand(b, generator=generator) < self.jitter
        spans = (self.brightness, self.contrast, self.saturation, self.hue)
        turns = [torch.where(changed, _between(b, span, generator), 0.0) for span in spans]
        grey = torch.rand(b, generator=generator) < self.grey
        return torch.stack([1 + turns[0], 1 + turns[1], 1 + turns[2], turns[3]], dim=1), grey

    def _recolour(self, x: Tensor, generator: torch.Generator) -> Tensor:
        if self.jitter == 0 and self.grey == 0:
            return x
        factors, grey = (drawn.to(x.device) for drawn in self.draw_colours(len(x), generator))
        if self.order == "fixed":
            return recolour(x, factors, grey)
        order = torch.rand(len(x), 4, generator=generator).argsort(dim=1)
        return recolour_in_order(x, factors, grey, order.to(x.device))

    def _filtered(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Blur, solarise and cutout, each for the images that drew it."""
        b, height, width = len(x), *x.shape[-2:]
        if self.blur > 0:
            rows = _drawn(b, self.blur, generator)
            low, high = self.sigma
            sigma = low + (high - low) * torch.rand(b, generator=generator)[rows]
            radius = min(math.ceil(3 * high), min(height, width) - 1)
            x = x.index_copy(0, rows.to(x.device), blurred(x[rows], sigma.to(x.device), radius))
        if self.solarise > 0:
            rows = _drawn(b, self.solarise, generator)
            x = x.index_copy(0, rows.to(x.device), solarised(x[rows], 0.5))
        if self.cutout > 0:
            rows = _drawn(b, self.cutout, generator)
            row, column = (torch.randint(side, (b,), generator=generator)[rows].to(x.device) for side in (height, width))
            x = x.index_copy(0, rows.to(x.device), cut_out(x[rows], row, column, round(self.hole * min(height, width) / 2)))
        return x


GREY = Views(scale=(0.5, 1.0), degrees=15.0, shear=0.2, jitter=0.8, brightness=0.4, contrast=0.4)
OBJECTS = replace(GREY, flip=0.5, degrees=10.0, shear=0.0)  # for grey images whose mirror image means the same
COLOUR = Views(  # SimCLR's appendix A and B.9, strength 0.5, no blur
    scale=(0.5, 1.0), flip=0.5, degrees=10.0, jitter=0.8, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, grey=0.2
)
# As SCAN's for CIFAR (arXiv 2005.12320, appendix): a crop, four operations of any strength, Cutout of half the side. Strengths
# up to two thirds, and gentler for grey images, are ours.
STRONG = Views(scale=(0.5, 1.0), flip=0.5, strong=4, magnitude=(0.0, 0.67), cutout=1.0, hole=0.5)
STRONG_GREY = Views(scale=(0.5, 1.0), strong=4, magnitude=(0.0, 0.33), cutout=1.0, hole=0.25)


def views(channels: int) -> Views:
    """The views of an input class: one for all grey images, one for all colour images."""
    return GREY if channels == 1 else COLOUR


def strong(channels: int) -> Views:
    """The strong views of an input class, for methods that set them against the plain ones."""
    return STRONG_GREY if channels == 1 else STRONG


def asymmetric(channels: int) -> list[Views]:
    """A pair, the second with solarise at 0.2, as BYOL (arXiv 2006.07733, appendix B) and Barlow Twins.

    Their blur, of at most 2 pixels in 224, would be less than a third of a pixel here, and is left out.
    """
    return [views(channels), replace(views(channels), solarise=0.2)]


def multi_crop(channels: int, side: int, *, small: int = 6) -> list[Views]:
    """Two views of `side` pixels and `small` ones of about half, in whole patches of 4, of small parts of the image.

    As in SwAV and DINO, whose views share of 96 in 224 pixels and parts of 0.05 on would show nothing of a digit.
    """
    large, little = replace(views(channels), scale=(0.4, 1.0)), replace(views(channels), scale=(0.15, 0.4))
    return [large] * 2 + [replace(little, side=4 * math.ceil(side / 8))] * small


def _between(b: int, span: float, generator: torch.Generator) -> Tensor:
    """[b] uniform in −span..span."""
    return (2 * torch.rand(b, generator=generator) - 1) * span


def _drawn(b: int, probability: float, generator: torch.Generator) -> Tensor:
    """The rows, int64, that an event of this probability has drawn out of b."""
    return (torch.rand(b, generator=generator) < probability).nonzero()[:, 0]
