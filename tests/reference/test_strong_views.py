"""Filters and strong views of whole batches against torchvision's operations on one image with the same parameters."""

import math

import pytest
import torch

from methods.parts.filters import blurred, cut_out, equalised, posterised, sharpened, solarised, stretched
from methods.parts.geometry import resample
from methods.parts.strong import COLOURS, GEOMETRY, OPERATIONS, draw_operations, operated, operation_maps
from methods.parts.views import Views

B = 8


@pytest.fixture(scope="module")
def v2():
    """Torchvision's functional transforms; slow to import."""
    from torchvision.transforms import v2

    return v2.functional


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _images(channels=3, side=16, b=B):
    """Images with flat parts and edges, of different brightness."""
    noise = torch.rand(b, channels, side, side, generator=_generator(1))
    return noise * torch.linspace(0.3, 1, b).view(b, 1, 1, 1) * (noise[:, :, :1] > 0.3)


@pytest.mark.parametrize("channels", [1, 3])
def test_filters_agree_with_torchvisions(v2, channels):
    """Solarise, posterise, sharpness, autocontrast and equalise agree with torchvision's, each image by its own parameter."""
    x = _images(channels)
    x[2] = 0.4  # flat: nothing to stretch
    thresholds, bits = torch.linspace(0.1, 1.0, B), torch.tensor([8, 7, 6, 5, 4, 4, 2, 1])
    factors = torch.tensor([0.1, 0.5, 0.9, 1.0, 1.2, 1.5, 1.9, 3.0])
    got = [solarised(x, thresholds), posterised(x, bits), sharpened(x, factors), stretched(x), equalised(x)]
    for i in range(B):
        want = [
            v2.solarize(x[i], float(thresholds[i])),
            v2.posterize(x[i], int(bits[i])),
            v2.adjust_sharpness(x[i], float(factors[i])),
            v2.autocontrast(x[i]),
            v2.equalize(x[i]),
        ]
        for ours, theirs in zip(got, want, strict=True):
            torch.testing.assert_close(ours[i], theirs, atol=1e-5, rtol=0)
    torch.testing.assert_close(solarised(x, 0.5)[1], v2.solarize(x[1], 0.5))


@pytest.mark.parametrize("side", [8, 17])
def test_blur_agrees_with_gaussian_blur(v2, side):
    """Each image is blurred by its own sigma as torchvision's gaussian_blur does, borders included."""
    x, sigmas = _images(side=side), torch.linspace(0.1, 2.0, B)
    got = blurred(x, sigmas, 3)
    for i, sigma in enumerate(sigmas.tolist()):
        torch.testing.assert_close(got[i], v2.gaussian_blur(x[i], [7, 7], [sigma, sigma]), atol=1e-5, rtol=0)


def test_cutout_agrees_with_erase(v2):
    """The square is black, cut off at the border, and the rest stays."""
    x = 0.1 + _images()
    row, column = torch.tensor([0, 3, 8, 15, 1, 15, 7, 0]), torch.tensor([0, 8, 8, 15, 15, 2, 0, 7])
    got = cut_out(x, row, column, 3)
    for i, (r, c) in enumerate(zip(row.tolist(), column.tolist(), strict=True)):
        top, left = max(0, r - 3), max(0, c - 3)
        want = v2.erase(x[i], top, left, min(16, r + 3) - top, min(16, c + 3) - left, torch.zeros(3, 1, 1))
        assert torch.equal(got[i], want)


def test_filters_are_drawn_as_told():
    """Blur, solarise and cutout befall their share of images, holes lie evenly, and sigma follows GaussianBlur's draws."""
    from torchvision.transforms import GaussianBlur

    n, whole = 2000, {"scale": (1.0, 1.0), "ratio": (1.0, 1.0)}
    point = torch.zeros(n, 1, 9, 9)
    point[:, :, 4, 4] = 0.4
    seen = Views(**whole, blur=0.3, sigma=(0.3, 1.0))(point, _generator())
    blurry = (seen[:, 0, 4, 4] - 0.4).abs() > 1e-3
    assert abs(blurry.float().mean() - 0.3) < 0.03
    sigma = (-0.5 / (seen[blurry, 0, 4, 5] / seen[blurry, 0, 4, 4]).log()).sqrt()
    torch.manual_seed(0)
    theirs = torch.tensor([GaussianBlur(7, (0.3, 1.0)).get_params(0.3, 1.0) for _ in range(n)])
    levels = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])
    torch.testing.assert_close(sigma.quantile(levels), theirs.quantile(levels), atol=0.05, rtol=0)
    bright = torch.full((n, 1, 8, 8), 0.9)
    dark = Views(**whole, solarise=0.2)(bright, _generator())[:, 0, 0, 0] < 0.5
    assert abs(dark.float().mean() - 0.2) < 0.03
    holes = (Views(**whole, cutout=0.5, hole=0.5)(bright, _generator()) == 0)[:, 0].float().mean(0)
    near = torch.tensor([sum(c - 2 <= place < c + 2 for c in range(8)) / 8 for place in range(8)])
    torch.testing.assert_close(holes, 0.5 * near[:, None] * near, atol=0.04, rtol=0)


def test_strong_geometry_agrees_with_torchvisions(v2):
    """Shears, shifts and turns agree with torchvision's affine and rotate, and come in the order of their draws."""
    from torchvision.transforms import InterpolationMode

    x, bilinear = torch.nn.functional.avg_pool2d(_images(side=64, b=6), 9, stride=2), InterpolationMode.BILINEAR
    side, inner = x.shape[-1], slice(10, -10)
    strengths = torch.tensor([0.4, -0.5, 0.3, -0.2, 0.6, 1.0])
    kinds = torch.tensor([OPERATIONS.index(name) for name in (*GEOMETRY, "solarise")])
    got = resample(x, operation_maps(kinds, strengths))
    for i, (name, s) in enumerate(zip(GEOMETRY, strengths.tolist(), strict=False)):
        slant, move = math.degrees(math.atan(0.3 * s)), 150 / 331 * side * s
        want = {
            "shear_x": lambda i=i, a=slant: v2.affine(x[i], 0, [0, 0], 1, [a, 0], interpolation=bilinear),
            "shear_y": lambda i=i, a=slant: v2.affine(x[i], 0, [0, 0], 1, [0, a], interpolation=bilinear),
            "translate_x": lambda i=i, m=move: v2.affine(x[i], 0, [m, 0], 1, [0, 0], interpolation=bilinear),
            "translate_y": lambda i=i, m=move: v2.affine(x[i], 0, [0, m], 1, [0, 0], interpolation=bilinear),
            "rotate": lambda i=i, s=s: v2.rotate(x[i], 30 * s, interpolation=bilinear),
        }[name]()
        torch.testing.assert_close(got[i, :, inner, inner], want[:, inner, inner], atol=1e-3, rtol=0)
    torch.testing.assert_close(got[5], x[5], atol=1e-5, rtol=0)


def test_strong_colours_agree_with_torchvisions(v2):
    """Each image gets its own operation of colour, in the range of torchvision's RandAugment; geometry leaves colours alone."""
    x, strengths = _images(b=len(OPERATIONS)), torch.linspace(-0.9, 0.9, len(OPERATIONS))
    got = operated(x, torch.arange(len(OPERATIONS)), strengths)
    for i, (name, s) in enumerate(zip(OPERATIONS, strengths.tolist(), strict=True)):
        want = {
            "brightness": lambda i=i, s=s: v2.adjust_brightness(x[i], 1 + 0.9 * s),
            "contrast": lambda i=i, s=s: v2.adjust_contrast(x[i], 1 + 0.9 * s),
            "colour": lambda i=i, s=s: v2.adjust_saturation(x[i], 1 + 0.9 * s),
            "sharpness": lambda i=i, s=s: v2.adjust_sharpness(x[i], 1 + 0.9 * s),
            "posterise": lambda i=i, s=s: v2.posterize(x[i], 8 - round(4 * abs(s))),
            "solarise": lambda i=i, s=s: v2.solarize(x[i], 1 - abs(s)),
            "autocontrast": lambda i=i: v2.autocontrast(x[i]),
            "equalise": lambda i=i: v2.equalize(x[i]),
        }.get(name, lambda i=i: x[i])()
        torch.testing.assert_close(got[i], want, atol=5e-4, rtol=0)
        assert torch.equal(got[i], x[i]) == (name not in COLOURS)


def test_strong_operations_are_randaugments():
    """The operations and what they do at each magnitude are those of torchvision's RandAugment, and come equally often."""
    from torchvision.transforms.v2 import RandAugment

    theirs = RandAugment()._AUGMENTATION_SPACE
    names = {
        "Identity": "identity",
        "ShearX": "shear_x", "ShearY": "shear_y", "TranslateX": "translate_x", "TranslateY": "translate_y",
        "Rotate": "rotate", "Brightness": "brightness", "Color": "colour", "Contrast": "contrast", "Sharpness": "sharpness",
        "Posterize": "posterise", "Solarize": "solarise", "AutoContrast": "autocontrast", "Equalize": "equalise",
    }  # fmt: skip
    assert {names[name] for name in theirs} == set(OPERATIONS)
    ours = {
        "ShearX": lambda m: 0.3 * m, "TranslateX": lambda m: 150 / 331 * 331 * m, "Rotate": lambda m: 30 * m,
        "Brightness": lambda m: 0.9 * m, "Posterize": lambda m: 8 - (4 * m).round(), "Solarize": lambda m: 1 - m,
    }  # fmt: skip
    for name, at in ours.items():
        torch.testing.assert_close(at(torch.linspace(0, 1, 31)), theirs[name][0](31, 331, 331).float(), atol=1e-4, rtol=0)
    (kind, strength), (again, _) = draw_operations(14_000, 2, (0.3, 0.3), _generator())
    for drawn in (kind, again):
        assert (torch.bincount(drawn, minlength=14) - 1000).abs().max() < 130
    assert (strength.abs() - 0.3).abs().max() < 1e-6
    assert abs((strength > 0).float().mean() - 0.5) < 0.02
    (_, strength), *_ = draw_operations(4000, 1, (0.2, 0.8), _generator())
    assert abs(strength.abs().mean() - 0.5) < 0.02
    assert draw_operations(4, 0, (0.3, 0.3), _generator()) == []


def test_strong_views_differ_from_image_to_image():
    """Copies of one image get different operations; more operations move an image further from itself."""
    same = _images()[-1:].expand(64, -1, -1, -1)
    whole = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0), "magnitude": (0.5, 0.5)}
    moved = []
    for count in (0, 1, 4):
        seen = Views(**whole, strong=count)(same, _generator())
        moved.append(float((seen - same).abs().mean()))
    assert moved[0] < 1e-6
    assert moved[0] < moved[1] < moved[2]
    distances = torch.cdist(seen.flatten(1), seen.flatten(1))
    assert (distances + torch.eye(64) > 1e-3).float().mean() > 0.9
