"""Random views of whole batches, drawn for each image by itself: one resampling, then one colour matrix an image.

Crop, flip, rotation and shear are one affine map and one bilinear resampling. Brightness, contrast, saturation, hue and
greyscale are affine maps of a pixel's colour, composed into one matrix an image. Their random order in the papers has no
counterpart: clamped once, at the end, and with hue as a turn of YIQ's chroma plane, they commute.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
TRIES = 10  # redraws of a crop that doesn't fit, as torchvision's RandomResizedCrop; then the whole image
YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))


@dataclass(frozen=True)
class Views:
    """What a view is. Call it: images [b, c, h, w] float in 0..1 to views of the same shape, one new draw an image.

    scale, ratio: area (of the image's) and aspect ratio of the crop. flip: probability of a mirror image. degrees, shear:
    the largest rotation, and the largest slant (a tangent), either way. jitter: probability of a change of colour, whose
    factors lie in 1 ± brightness, contrast, saturation; hue: the largest turn, as a part of the circle. grey: probability.
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

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """One view of each image; every draw comes from the generator (a CPU one), in a fixed order."""
        x = resample(x, self.draw_affine(len(x), x.shape[-1] / x.shape[-2], generator).to(x.device))
        return self._recolour(x, generator)

    def draw_affine(self, b: int, aspect: float, generator: torch.Generator) -> Tensor:
        """Affine maps from output to input coordinates in −1..1: [b, 2, 3]. aspect: width over height of the images."""
        width, height, cx, cy = draw_crops(b, self.scale, self.ratio, aspect, generator)
        mirror = 1 - 2 * (torch.rand(b, generator=generator) < self.flip).float()
        angle, slant = _between(b, math.radians(self.degrees), generator), _between(b, self.shear, generator)
        return affine_maps(width, height, cx, cy, mirror=mirror, angle=angle, slant=slant)

    def _recolour(self, x: Tensor, generator: torch.Generator) -> Tensor:
        if self.jitter == 0 and self.grey == 0:
            return x
        b = len(x)
        changed = torch.rand(b, generator=generator) < self.jitter
        spans = (self.brightness, self.contrast, self.saturation, self.hue)
        turns = [torch.where(changed, _between(b, span, generator), 0.0) for span in spans]
        grey = torch.rand(b, generator=generator) < self.grey
        factors = torch.stack([1 + turns[0], 1 + turns[1], 1 + turns[2], turns[3]], dim=1)
        return recolour(x, factors.to(x.device), grey.to(x.device))


GREY = Views(scale=(0.5, 1.0), degrees=15.0, shear=0.2, jitter=0.8, brightness=0.4, contrast=0.4)
COLOUR = Views(  # SimCLR's appendix A and B.9, strength 0.5, no blur
    scale=(0.5, 1.0), flip=0.5, degrees=10.0, jitter=0.8, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, grey=0.2
)


def views(channels: int) -> Views:
    """The views of an input class: one for all grey images, one for all colour images."""
    return GREY if channels == 1 else COLOUR


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


def resample(x: Tensor, maps: Tensor) -> Tensor:
    """Images [b, c, h, w] seen through affine maps [b, 2, 3], bilinear; beyond its border an image goes on as it ends."""
    grid = F.affine_grid(maps, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def recolour(x: Tensor, factors: Tensor, grey: Tensor) -> Tensor:
    """Images [b, c, h, w] with brightness, contrast, saturation and hue changed, then clamped to 0..1.

    factors: [b, 4], hue a part of the circle. grey: [b] bool, greyscale at the end.
    """
    flat = x.flatten(2)
    gain, shift = colour_maps(flat.mean(dim=2, keepdim=True), factors, grey)
    return torch.baddbmm(shift, gain, flat).clamp_(0, 1).view_as(x)


def colour_maps(mean: Tensor, factors: Tensor, grey: Tensor) -> tuple[Tensor, Tensor]:
    """The composed change of colour, x to gain·x + shift: [b, c, c] and [b, 1, 1]. mean: the images' mean colours [b, c, 1]."""
    c = mean.shape[1]
    eye = torch.eye(c, device=mean.device)
    brightness, contrast, saturation, turn = factors.T[:, :, None, None]
    if c == 1:
        return brightness * contrast * eye, brightness * (1 - contrast) * mean
    luma = torch.tensor(LUMA, device=mean.device).expand(c, c)
    chroma = (saturation * eye + (1 - saturation) * luma) @ _turned(turn)
    gain = torch.where(grey[:, None, None], luma, chroma)
    # Contrast blends with the mean luma, which neither saturation nor hue moves.
    return brightness * contrast * gain, brightness * (1 - contrast) * (luma[:1] @ mean)


def _turned(turn: Tensor) -> Tensor:
    """Turns the chroma plane of YIQ by parts of the circle [b, 1, 1]: [b, 3, 3]. Luma stays."""
    yiq = torch.tensor(YIQ, device=turn.device)
    angle = 2 * math.pi * turn
    zero, one = torch.zeros_like(angle), torch.ones_like(angle)
    rows = [[one, zero, zero], [zero, angle.cos(), angle.sin()], [zero, -angle.sin(), angle.cos()]]
    spin = torch.cat([torch.cat(row, dim=2) for row in rows], dim=1)
    return torch.linalg.inv(yiq) @ spin @ yiq


def _between(b: int, span: float, generator: torch.Generator) -> Tensor:
    """[b] uniform in −span..span."""
    return (2 * torch.rand(b, generator=generator) - 1) * span
