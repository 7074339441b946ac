"""Changes of colour in whole batches, each image by its own factors: one matrix an image, or one after another.

Brightness, contrast, saturation, hue and greyscale are affine maps of a pixel's colour, composed into one matrix an image
(`recolour`). Their random order in the papers has no counterpart there: clamped once, at the end, and with hue as a turn of
YIQ's chroma plane, they commute. `recolour_in_order` is torchvision's ColorJitter: an order for each image, clamped after each
change, hue in HSV; it takes several times as long.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
YIQ = ((0.299, 0.587, 0.114), (0.596, -0.274, -0.322), (0.211, -0.523, 0.312))
NEUTRAL = (1.0, 1.0, 1.0, 0.0)  # brightness, contrast, saturation, hue that change nothing
HUE = NEUTRAL.index(0.0)


def recolour(x: Tensor, factors: Tensor, grey: Tensor) -> Tensor:
    """Images [b, c, h, w] with brightness, contrast, saturation and hue changed, then clamped to 0..1.

    factors: [b, 4], hue a part of the circle. grey: [b] bool, greyscale at the end.
    """
    flat = x.flatten(2)
    gain, shift = colour_maps(flat.mean(dim=2, keepdim=True), factors, grey)
    return torch.baddbmm(shift, gain, flat).clamp_(0, 1).view_as(x)


def recolour_in_order(x: Tensor, factors: Tensor, grey: Tensor, order: Tensor) -> Tensor:
    """As `recolour`, but one change after another, clamped after each, and with HSV's hue.

    order: [b, 4], a permutation for each image: its first, second, third and fourth change, as columns of `factors`.
    """
    neutral = torch.tensor(NEUTRAL, device=x.device)
    columns = torch.arange(HUE, device=x.device)
    never = torch.zeros_like(grey)
    for change in order.T:
        if x.shape[1] > 1:
            rows = ((change == HUE) & (factors[:, HUE] != 0)).nonzero()[:, 0]
            x = x.index_copy(0, rows, hue_turned(x[rows], factors[rows, HUE]))
        now = neutral.repeat(len(x), 1)
        now[:, :HUE] = torch.where(columns == change[:, None], factors[:, :HUE], 1.0)
        x = recolour(x, now, never)
    return recolour(x, neutral.expand(len(x), -1), grey)


def hue_turned(x: Tensor, turn: Tensor) -> Tensor:
    """Images [b, 3, h, w] with the hue of HSV turned by parts [b] of the circle."""
    red, green, blue = x.unbind(1)
    top, chroma = x.amax(1), x.amax(1) - x.amin(1)
    safe = chroma.clamp_min(torch.finfo(x.dtype).tiny)
    sixths = torch.where(top == green, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    sixths = torch.where(top == red, (green - blue) / safe, sixths) + 6 * turn[:, None, None]
    # From HSV: v − v·s·clamp(min(k, 4 − k), 0, 1) with k = (n + hue in sixths) mod 6, n = 5, 3, 1 for red, green, blue.
    k = (sixths[:, None] + torch.tensor([5.0, 3.0, 1.0], device=x.device).view(3, 1, 1)) % 6
    return top[:, None] - chroma[:, None] * torch.minimum(k, 4 - k).clamp_(0, 1)


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
