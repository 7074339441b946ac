"""Backbones against timm's and torchvision's with the same weights, their sizes, and their first draws."""

import itertools
import sys

import pytest
import torch
from torch import nn

from benchmark.ground.errors import Unavailable, UserError
from methods.parts.encoders import encoder
from methods.parts.transformer import ViT

SHAPES = [(1, 28, 28), (3, 32, 32)]


def _images(shape, b=3, seed=0):
    return torch.rand(b, *shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["small", "resnet18", "vit_tiny"])
def test_encoders_take_small_views(name, shape):
    """Each backbone maps images of its side and smaller ones to vectors of its width, in bf16 too."""
    network = encoder(shape, name).eval()
    for side in (shape[-1], 16, 8):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=side == 16):
            got = network(_images((shape[0], side, side)))
        assert got.shape == (3, network.width)
        assert got.isfinite().all()


@pytest.mark.parametrize("shape", SHAPES)
def test_sizes_are_configured(shape):
    """Widths, depth and patches follow what is asked for, and more weights come of more."""
    channels = shape[0]
    assert encoder(shape, "small(widths=(4, 8, 12, 20))").width == 20
    assert encoder(shape, "resnet18(first=8)").width == 64
    small = encoder(shape, "vit_tiny(patch=4, width=48, depth=2, heads=2)")
    assert small.tokens(_images(shape)).shape == (3, 1 + (shape[-1] // 4) ** 2, 48)
    each, per_block = 48 * (16 * channels + 1) + 48 + 2 * 48, 12 * 48**2 + 13 * 48
    assert sum(weight.numel() for weight in small.parameters()) == each + 2 * per_block
    with torch.autocast("cpu", torch.bfloat16):
        small(_images(shape)).square().sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in small.parameters())
    with pytest.raises(ValueError, match="whole numbers of patches"):
        encoder(shape, "vit_tiny(patch=5)")
    with pytest.raises(ValueError, match="vit_tiny, timm:NAME"):
        encoder(shape, "vit_huge")
    for wrong in ("small(8)", "small(widths=", "small(widths=open('x'))"):
        with pytest.raises(ValueError, match="can't be read; sizes are given as in vit_tiny"):
            encoder(shape, wrong)


@pytest.mark.parametrize("shape", SHAPES)
def test_small_network_draws_its_layers_in_order(shape):
    """The first weights of the small network are those of its convolutions drawn one after another."""
    torch.manual_seed(3)
    network = encoder(shape)
    got = [module.weight for module in network.modules() if isinstance(module, nn.Conv2d)]
    torch.manual_seed(3)
    widths = [shape[0], 16, 32, 64, 128, *([128] if shape[0] > 1 else [])]
    want = [nn.Conv2d(a, b, 3, bias=False).weight for a, b in itertools.pairwise(widths)]
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


def test_resnet18_agrees_with_torchvisions():
    """With the same weights ResNet-18 gives what torchvision's gives without max-pooling and with a 3×3 stem."""
    from torchvision.models import resnet18

    torch.manual_seed(0)
    theirs, ours = resnet18().eval(), encoder((3, 32, 32), "resnet18").eval()
    theirs.conv1, theirs.maxpool, theirs.fc = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity(), nn.Identity()
    # Theirs lists a shortcut after both convolutions of its block, as ours does.
    states = theirs.state_dict()
    ours.load_state_dict(dict(zip(ours.state_dict(), states.values(), strict=True)))
    x = _images((3, 32, 32))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(2 * x - 1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_vit_agrees_with_timms(shape):
    """With the same weights and places ViT-tiny gives what timm's gives, for all tokens."""
    timm = pytest.importorskip("timm", reason="the extra `features` is not installed")
    sizes = {"img_size": shape[-1], "patch_size": 4, "in_chans": shape[0]}
    theirs = timm.create_model("vit_tiny_patch16_224", pretrained=False, num_classes=0, depth=3, **sizes).eval()
    ours = ViT(shape, depth=3).eval()
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())))
        theirs.pos_embed.copy_(torch.cat([torch.zeros(1, ours.width), ours.places(ours.grid)])[None])
    state = theirs.state_dict()
    del state["pos_embed"]
    for old, new in {
        "cls_token": "token",
        "patch_embed.proj": "patches",
        "attn.proj": "out",
        "attn.": "",
        "fc1": "0",
        "fc2": "2",
    }.items():
        state = {name.replace(old, new): value for name, value in state.items()}
    ours.load_state_dict(state)
    x = _images(shape)
    with torch.no_grad():
        torch.testing.assert_close(ours.tokens(x), theirs.forward_features(2 * x - 1), atol=1e-4, rtol=1e-4)


def test_vits_places_tell_patches_apart():
    """Every place has a code of its own, near places have like ones, and a smaller grid is spread over the whole one."""
    network = ViT((1, 28, 28))
    whole, small = network.places([7, 7]), network.places([4, 4])
    distances = torch.cdist(whole, whole)
    assert (distances + 10 * torch.eye(49)).min() > 0.5
    assert distances[0, 1] < distances[0, 3]
    assert torch.cdist(small, whole).argmin(1).tolist() == [7 * r + c for r in (0, 2, 4, 6) for c in (0, 2, 4, 6)]
    x = _images((1, 28, 28))
    with torch.no_grad():
        assert (network(x) - network(x.flip(3))).abs().max() > 1e-3
        moved = network(torch.cat([x[..., 14:], x[..., :14]], dim=3))
    assert (network(x) - moved).abs().max() > 1e-3


@pytest.mark.parametrize("name", ["test_resnet", "test_vit(patch_size=4)", "test_efficientnet"])
@pytest.mark.parametrize("shape", SHAPES)
def test_timms_models(name, shape):
    """A model of timm takes grey and colour images of small sides and gives its width; the seed gives its weights."""
    pytest.importorskip("timm", reason="the extra `features` is not installed")
    torch.manual_seed(0)
    network = encoder(shape, f"timm:{name}").eval()
    torch.manual_seed(0)
    again = encoder(shape, f"timm:{name}").eval()
    with torch.no_grad():
        got = network(_images(shape))
        assert torch.equal(got, again(_images(shape)))
    assert got.shape == (3, network.width)


def test_what_timm_lacks_is_said(monkeypatch):
    """An unknown model, and timm itself absent, are errors of one line that name it."""
    pytest.importorskip("timm", reason="the extra `features` is not installed")
    with pytest.raises(UserError, match="timm has no model 'vit_imaginary'"):
        encoder((3, 32, 32), "timm:vit_imaginary")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(Unavailable, match="uv sync --extra features"):
        encoder((3, 32, 32), "timm:test_vit")
