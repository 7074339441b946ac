"""Views of whole batches against torchvision's operations on one image with the same parameters."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from methods.parts.views import COLOUR, GREY, Views, affine_maps, draw_crops, recolour, resample

B = 6


@pytest.fixture(scope="module")
def v2():
    """Torchvision's functional transforms; slow to import."""
    from torchvision.transforms import v2

    return v2.functional


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _smooth(channels, side=32, b=B):
    """Smooth images, away from black and white, so that no clamp and no pixel grid matters."""
    coarse = torch.rand(b, channels, 5, 5, generator=_generator(1))
    return 0.35 + 0.3 * F.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=True).clamp(0, 1)


def _maps(b=B, **given):
    values = {"width": 1.0, "height": 1.0, "cx": 0.5, "cy": 0.5, "mirror": 1.0, "angle": 0.0, "slant": 0.0, **given}
    values = {name: torch.as_tensor(value, dtype=torch.float32).expand(b) for name, value in values.items()}
    crop = [values.pop(name) for name in ("width", "height", "cx", "cy")]
    return affine_maps(*crop, **values)


def _recoloured(x, *, grey=False, **given):
    names = ("brightness", "contrast", "saturation", "hue")
    neutral = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0, **given}
    b = len(x)
    factors = torch.stack([torch.as_tensor(neutral[name], dtype=torch.float32).expand(b) for name in names], dim=1)
    return recolour(x, factors, torch.full((b,), grey))


def test_whole_crop_is_identity():
    """A view that takes the whole image and changes nothing gives the image back."""
    x = _smooth(3)
    torch.testing.assert_close(resample(x, _maps()), x, atol=1e-5, rtol=0)
    torch.testing.assert_close(_recoloured(x), x, atol=1e-6, rtol=0)


def test_crop_agrees_with_resized_crop(v2):
    """A crop of whole pixels agrees with torchvision's resized_crop, image by image, inside the crop's rim."""
    x = _smooth(3)
    boxes = [(0, 0, 16, 16), (3, 5, 20, 24), (12, 2, 18, 16), (8, 8, 24, 24), (1, 16, 30, 16), (4, 0, 28, 21)]  # top, left, h, w
    top, left, h, w = torch.tensor(boxes, dtype=torch.float32).T / 32
    got = resample(x, _maps(width=w, height=h, cx=left + w / 2, cy=top + h / 2))
    for i, (t, le, hh, ww) in enumerate(boxes):
        want = v2.resized_crop(x[i], t, le, hh, ww, size=[32, 32], antialias=False)
        torch.testing.assert_close(got[i, :, 2:-2, 2:-2], want[:, 2:-2, 2:-2], atol=1e-5, rtol=0)


def test_mirror_agrees_with_flip(v2):
    """Mirrored images agree with horizontal_flip, and only those whose draw says so are mirrored."""
    x = _smooth(1)
    got = resample(x, _maps(mirror=[-1.0, 1.0, -1.0, 1.0, 1.0, -1.0]))
    for i, mirrored in enumerate([True, False, True, False, False, True]):
        torch.testing.assert_close(got[i], v2.horizontal_flip(x[i]) if mirrored else x[i], atol=1e-5, rtol=0)


def test_rotation_agrees_with_rotate(v2):
    """Each image is turned by its own angle, counter-clockwise as in torchvision."""
    from torchvision.transforms import InterpolationMode

    x = _smooth(1)
    degrees = [-30.0, -10.0, 0.0, 5.0, 20.0, 45.0]
    got = resample(x, _maps(angle=[math.radians(d) for d in degrees]))
    for i, angle in enumerate(degrees):
        want = v2.rotate(x[i], angle, interpolation=InterpolationMode.BILINEAR)
        torch.testing.assert_close(got[i, :, 10:22, 10:22], want[:, 10:22, 10:22], atol=1e-4, rtol=0)


@pytest.mark.parametrize(("name", "torchvisions"), [("brightness", "adjust_brightness"), ("contrast", "adjust_contrast")])
def test_brightness_and_contrast_agree(v2, name, torchvisions):
    """Each image's brightness and contrast change by its own factor as torchvision changes them."""
    x, factors = _smooth(3), [0.6, 0.8, 1.0, 1.1, 1.3, 1.4]
    got = _recoloured(x, **{name: factors})
    for i, factor in enumerate(factors):
        torch.testing.assert_close(got[i], getattr(v2, torchvisions)(x[i], factor), atol=2e-4, rtol=0)


def test_saturation_and_greyscale_agree(v2):
    """Saturation and greyscale agree with torchvision, whose luma weights are rounded a little differently."""
    x, factors = _smooth(3), [0.0, 0.5, 0.9, 1.0, 1.2, 1.4]
    got, grey = _recoloured(x, saturation=factors), _recoloured(x, grey=True)
    for i, factor in enumerate(factors):
        torch.testing.assert_close(got[i], v2.adjust_saturation(x[i], factor), atol=2e-4, rtol=0)
        torch.testing.assert_close(grey[i], v2.rgb_to_grayscale(x[i], num_output_channels=3), atol=2e-4, rtol=0)


def test_chain_agrees_in_any_order(v2):
    """A chain of changes agrees with torchvision's calls, in whatever order these come, where nothing is clamped."""
    x = _smooth(3)
    got = _recoloured(x, brightness=1.2, contrast=0.7, saturation=1.3)
    calls = [lambda i: v2.adjust_brightness(i, 1.2), lambda i: v2.adjust_contrast(i, 0.7), lambda i: v2.adjust_saturation(i, 1.3)]
    for order in itertools.permutations(calls):
        want = x[0]
        for call in order:
            want = call(want)
        torch.testing.assert_close(got[0], want, atol=3e-4, rtol=0)


def test_hue_turns_chroma_and_keeps_luma():
    """A hue change keeps luma, leaves grey alone, is undone by its opposite, and goes red, green, blue as HSV's does."""
    x = 0.4 + 0.2 * torch.rand(B, 3, 8, 8, generator=_generator(2))
    luma = torch.tensor([0.299, 0.587, 0.114])
    turned = _recoloured(x, hue=0.1)
    assert (turned - x).abs().max() > 0.01
    torch.testing.assert_close(torch.einsum("c,bchw->bhw", luma, turned), torch.einsum("c,bchw->bhw", luma, x), atol=1e-3, rtol=0)
    torch.testing.assert_close(_recoloured(turned, hue=-0.1), x, atol=1e-5, rtol=0)
    flat = torch.full((1, 3, 2, 2), 0.5)
    torch.testing.assert_close(_recoloured(flat, hue=0.3), flat, atol=1e-3, rtol=0)
    red = torch.tensor([0.6, 0.4, 0.4]).view(1, 3, 1, 1)
    assert _recoloured(red, hue=1 / 3).flatten().argmax() == 1
    assert _recoloured(red, hue=-1 / 3).flatten().argmax() == 2


def test_each_image_gets_its_own_draw():
    """Copies of one image in a batch get different views, in pixels and in colour."""
    same = _smooth(3)[:1].expand(8, -1, -1, -1)
    geometry, colour = Views(scale=(0.3, 1.0)), Views(scale=(1.0, 1.0), ratio=(1.0, 1.0), jitter=1.0, brightness=0.4)
    for look in (geometry, colour):
        seen = look(same, _generator()).flatten(1)
        assert (torch.cdist(seen, seen) + torch.eye(8)).min() > 1e-3


def test_crops_are_torchvisions_crops():
    """Area, ratio and centre of crops follow RandomResizedCrop's distribution, but for its rounding to pixels."""
    from torchvision.transforms import RandomResizedCrop

    torch.manual_seed(0)
    n, scale, ratio, image = 4000, (0.2, 1.0), (3 / 4, 4 / 3), torch.empty(1, 500, 500)
    rows = [RandomResizedCrop.get_params(image, list(scale), list(ratio)) for _ in range(n)]
    top, left, h, w = torch.tensor(rows, dtype=torch.float32).T / 500
    width, height, cx, cy = draw_crops(n, scale, ratio, 1.0, _generator())
    pairs = [(width * height, w * h), (width / height, w / h), (cx, left + w / 2), (cy, top + h / 2)]
    levels = torch.tensor([0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98])
    for ours, theirs in pairs:
        torch.testing.assert_close(ours.quantile(levels), theirs.quantile(levels), atol=0.035, rtol=0)


def test_crops_stay_inside_and_in_range():
    """Every crop lies in the image, its area in `scale`, its ratio in `ratio`, for wide images too."""
    for aspect in (1.0, 2.0):
        width, height, cx, cy = draw_crops(5000, (0.5, 0.9), (3 / 4, 4 / 3), aspect, _generator())
        assert (cx - width / 2 >= -1e-6).all()
        assert (cx + width / 2 <= 1 + 1e-6).all()
        assert (cy - height / 2 >= -1e-6).all()
        assert (cy + height / 2 <= 1 + 1e-6).all()
        whole = (width == 1) & (height == 1)
        area, shape = (width * height)[~whole], (width / height * aspect)[~whole]
        assert area.min() >= 0.5 - 1e-5
        assert area.max() <= 0.9 + 1e-5
        assert shape.min() >= 3 / 4 - 1e-4
        assert shape.max() <= 4 / 3 + 1e-4
        if aspect == 1.0:
            assert not whole.any()


@pytest.mark.parametrize(("look", "channels"), [(GREY, 1), (COLOUR, 3)])
def test_views_repeat_by_generator(look, channels):
    """The same generator state gives the same bytes, whatever torch's own seed; the next draw gives others; all in 0..1."""
    x = torch.rand(B, channels, 28, 28, generator=_generator(3))
    generator = _generator()
    torch.manual_seed(1)
    first, second = look(x, generator), look(x, generator)
    torch.manual_seed(2)
    assert torch.equal(first, look(x, _generator()))
    assert not torch.equal(first, second)
    assert first.shape == x.shape
    assert first.min() >= 0
    assert first.max() <= 1
    assert not any(torch.equal(a, b) for a, b in zip(first, x, strict=True))


def test_flip_happens_as_often_as_told():
    """About half the images are mirrored at flip=0.5, none at 0."""
    maps = Views(scale=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.5).draw_affine(4000, 1.0, _generator())
    assert abs((maps[:, 0, 0] < 0).float().mean() - 0.5) < 0.03
    maps = Views(scale=(1.0, 1.0), ratio=(1.0, 1.0)).draw_affine(4000, 1.0, _generator())
    assert (maps[:, 0, 0] > 0).all()


def test_jitter_and_grey_happen_as_often_as_told():
    """Colour changes in a share `jitter` of images and vanishes in a share `grey`."""
    x = _smooth(3)[:1].expand(2000, -1, -1, -1)
    seen = Views(scale=(1.0, 1.0), ratio=(1.0, 1.0), jitter=0.8, brightness=0.4, grey=0.2)(x, _generator())
    changed = (seen - x).abs().flatten(1).amax(1) > 1e-4
    greyed = (seen[:, 0] - seen[:, 1]).abs().flatten(1).amax(1) < 1e-5
    assert abs(greyed.float().mean() - 0.2) < 0.03
    assert abs(changed.float().mean() - (1 - 0.2 * 0.8)) < 0.03
