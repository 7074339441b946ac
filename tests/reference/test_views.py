"""Views of whole batches against torchvision's operations on one image with the same parameters."""

import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from methods.parts.colour import recolour, recolour_in_order
from methods.parts.geometry import affine_maps, draw_crops, followed, resample, shifts
from methods.parts.views import COLOUR, GREY, OBJECTS, Views, asymmetric, multi_crop, strong, views

ROOT = Path(__file__).resolve().parents[2]
B = 6
ALL = Views(  # every option at once, but for another side
    scale=(0.2, 1.0), flip=0.5, degrees=20.0, shear=0.1, shift=0.1, jitter=0.8, brightness=0.4, contrast=0.4, saturation=0.4,
    hue=0.1, grey=0.2, order="random", strong=2, blur=0.5, solarise=0.5, cutout=0.5,
)  # fmt: skip


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


def test_affine_agrees_with_affine(v2):
    """Zoom, slant, rotation and shift, composed into one map, agree with torchvision's affine, each image by its own."""
    from torchvision.transforms import InterpolationMode

    x = _smooth(3)
    rows = [
        (0, 0, 0, 1.2, 0),
        (15, 2, -3, 1.0, 0),
        (-20, 0, 4, 0.9, 10),
        (5, -3, 1, 1.3, -15),
        (0, 3, 3, 1.1, 20),
        (40, 1, 0, 1, 5),
    ]
    degrees, right, down, zoom, slant = torch.tensor(rows, dtype=torch.float32).T
    sheared = _maps(width=1 / zoom, height=1 / zoom, slant=slant.deg2rad().tan())
    # torchvision's affine turns clockwise, its rotate the other way.
    got = resample(x, followed(followed(sheared, _maps(angle=-degrees.deg2rad())), shifts(right / 32, down / 32)))
    for i, (angle, *move, scale, shear) in enumerate(rows):
        want = v2.affine(x[i], angle, move, scale, [shear, 0], interpolation=InterpolationMode.BILINEAR)
        torch.testing.assert_close(got[i, :, 12:20, 12:20], want[:, 12:20, 12:20], atol=1e-4, rtol=0)


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


@pytest.mark.parametrize("channels", [1, 3])
def test_changes_in_order_agree_with_torchvisions(v2, channels):
    """Each image's changes come in its own order, clamped after each, as torchvision's calls in that order."""
    x = torch.rand(24, channels, 9, 9, generator=_generator(4))
    orders = list(itertools.permutations(range(4)))
    factors = torch.rand(24, 4, generator=_generator(5)) * torch.tensor([1.2, 1.2, 1.6, 0.8]) + torch.tensor(
        [0.4, 0.4, 0.2, -0.4]
    )
    grey = torch.arange(24) % 5 == 0
    got = recolour_in_order(x, factors, grey, torch.tensor(orders))
    calls = [v2.adjust_brightness, v2.adjust_contrast, v2.adjust_saturation, v2.adjust_hue]
    for i, order in enumerate(orders):
        want = x[i]
        for change in order:
            want = calls[change](want, float(factors[i, change]))
        if grey[i] and channels == 3:
            want = v2.rgb_to_grayscale(want, num_output_channels=3)
        torch.testing.assert_close(got[i], want, atol=1e-3, rtol=0)
    assert (got - recolour(x, factors, grey)).abs().max() > (0.1 if channels == 3 else 0.01)


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


@pytest.mark.parametrize(("look", "channels"), [(GREY, 1), (OBJECTS, 1), (COLOUR, 3), (strong(1), 1), (strong(3), 3), (ALL, 3)])
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


def test_what_isnt_asked_for_draws_nothing():
    """A view draws its crop, its affine map and its colours, and nothing for options that are off."""
    x, generator, written = torch.rand(B, 3, 8, 8), _generator(), _generator()
    COLOUR(x, generator)
    for size in ((2, 10, B), (2, B), (B,), (B,), (B,), *[(B,)] * 6):  # crops, centres, mirror, angle, slant; colours
        torch.rand(size, generator=written)
    assert torch.equal(generator.get_state(), written.get_state())
    rare = {"blur": 1e-9, "solarise": 1e-9, "cutout": 1e-9}
    seen = Views(**{**vars(COLOUR), **rare})(x, generator)
    assert torch.equal(seen, COLOUR(x, written))


def test_draws_are_torchvisions_draws():
    """Factors of colour, angles, and shifts follow the distributions of ColorJitter and RandomAffine."""
    from torchvision.transforms import ColorJitter, RandomAffine

    torch.manual_seed(0)
    n, jitter, affine = 3000, ColorJitter(0.4, 0.3, 0.2, 0.1), RandomAffine(20, (0.1, 0.1))
    spans = (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
    theirs = torch.tensor([jitter.get_params(*spans)[1:] for _ in range(n)])
    look = Views(scale=(1.0, 1.0), ratio=(1.0, 1.0), degrees=20.0, shift=0.1, jitter=1.0, brightness=0.4, contrast=0.3,
                 saturation=0.2, hue=0.1)  # fmt: skip
    levels = torch.tensor([0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98])
    ours, _ = look.draw_colours(n, _generator())
    spread = torch.tensor([0.8, 0.6, 0.4, 0.2])
    torch.testing.assert_close(ours.quantile(levels, 0) / spread, theirs.quantile(levels, 0) / spread, atol=0.035, rtol=0)
    rows = [affine.get_params([-20, 20], (0.1, 0.1), None, None, [1000, 1000])[:2] for _ in range(n)]
    theirs = torch.tensor([(angle / 20, right / 100, down / 100) for angle, (right, down) in rows])
    maps = look.draw_affine(n, 1.0, _generator())
    moved = -torch.linalg.solve(maps[:, :, :2], maps[:, :, 2]) / 2
    ours = torch.stack([torch.atan2(maps[:, 1, 0], maps[:, 0, 0]).rad2deg() / 20, *(moved / 0.1).T], dim=1)
    torch.testing.assert_close(ours.quantile(levels, 0), theirs.quantile(levels, 0), atol=0.09, rtol=0)


@pytest.mark.parametrize("order", ["fixed", "random"])
def test_views_are_distributed_as_torchvisions(order):
    """Over many draws of one image, views have the pixel means and deviations of torchvision's chain of transforms."""
    from torchvision.transforms import v2 as tv

    torch.manual_seed(0)
    n, hue = 700, 0.1 if order == "random" else 0.0  # the hue of one matrix is YIQ's
    image = _smooth(3)[0] + 0.3 * torch.linspace(-1, 1, 32) * torch.tensor([1.0, -0.5, 0.3]).view(3, 1, 1)
    chain = tv.Compose([
        tv.RandomResizedCrop(32, scale=(0.3, 1.0), antialias=False), tv.RandomHorizontalFlip(0.3),
        tv.RandomApply([tv.ColorJitter(0.4, 0.4, 0.4, hue)], 0.8), tv.RandomGrayscale(0.2),
        tv.RandomApply([tv.GaussianBlur(7, (0.1, 1.0))], 0.5), tv.RandomSolarize(0.5, 0.2),
    ])  # fmt: skip
    theirs = torch.stack([chain(image) for _ in range(n)])
    look = Views(scale=(0.3, 1.0), flip=0.3, jitter=0.8, brightness=0.4, contrast=0.4, saturation=0.4, hue=hue, grey=0.2,
                 order=order, blur=0.5, solarise=0.2)  # fmt: skip
    ours = look(image.expand(n, -1, -1, -1), _generator())
    for moment in (torch.mean, torch.std):
        gap = moment(ours, dim=0) - moment(theirs, dim=0)
        assert gap.square().mean().sqrt() < 0.01
        assert gap.abs().max() < 0.04
    plain = Views(**{**vars(look), "flip": 0.0, "solarise": 0.0})(image.expand(n, -1, -1, -1), _generator())
    assert (plain.mean(0) - theirs.mean(0)).square().mean().sqrt() > 0.02


def test_orders_of_change_come_equally_often():
    """With order="random" each image draws its own order: a factor and a clamp commute only in some."""
    same = torch.full((2000, 3, 1, 2), 0.9)
    same[..., 1] = 0.3
    look = Views(scale=(1.0, 1.0), ratio=(1.0, 1.0), jitter=1.0, order="random")
    factors = torch.tensor([1.4, 0.5, 1.0, 0.0]).expand(2000, -1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Views, "draw_colours", lambda *_: (factors, torch.zeros(2000, dtype=torch.bool)))
        seen = look(same, _generator())[:, 0, 0, 0]
    brighter_first = 0.5 * 1.0 + 0.5 * (1.0 + 0.42) / 2
    later = min(1.0, 1.4 * (0.5 * 0.9 + 0.5 * 0.6))
    first = (seen - brighter_first).abs() < 1e-3
    assert (first | ((seen - later).abs() < 1e-3)).all()
    assert abs(first.float().mean() - 0.5) < 0.04
    with pytest.raises(ValueError, match="fixed, random"):
        Views(scale=(1.0, 1.0), order="any")


@pytest.mark.parametrize("channels", [1, 3])
def test_presets_keep_their_promises(channels):
    """One preset a class of inputs; small crops are small in pixels and in what they show; the second of a pair solarises."""
    x = torch.rand(64, channels, 28, 28, generator=_generator(3))
    assert views(channels) == (GREY if channels == 1 else COLOUR)
    assert GREY.flip == 0
    assert OBJECTS.flip == 0.5
    seen = [look(x, _generator()) for look in multi_crop(channels, 28, small=3)]
    assert [view.shape[-1] for view in seen] == [28, 28, 16, 16, 16]
    large, small = multi_crop(channels, 32)[0], multi_crop(channels, 32)[-1]
    areas = [look.draw_affine(500, 1.0, _generator())[:, :, :2].det().abs() for look in (large, small)]
    assert areas[1].max() < areas[0].min() + 0.02
    first, second = asymmetric(channels)
    bright = torch.full((500, channels, 4, 4), 0.9)
    still = {"jitter": 0.0, "grey": 0.0}
    inverted = [
        (Views(**{**vars(look), **still})(bright, _generator())[:, 0, 0, 0] < 0.5).float().mean() for look in (first, second)
    ]
    assert inverted[0] == 0
    assert abs(inverted[1] - 0.2) < 0.06


def test_speed_is_measured():
    """The script that times views and steps runs, and reports a rate of each of ours."""
    script = ROOT / "tests" / "speed" / "views.py"
    words = [sys.executable, str(script), "--smoke"]
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert len(said) == 4
    assert all(rates["ours"] > 0 for rates in said.values())
