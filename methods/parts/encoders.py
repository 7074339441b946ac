"""Backbones of the image methods: a small convolutional network, ResNet-18 for small images, ViT-tiny, any of timm's; an MLP
for vectors.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.ground.errors import Unavailable, UserError
from methods.parts.batches import GREY_SIDE
from methods.parts.transformer import ViT

NAMES = ("small", "resnet18", "vit_tiny")
TIMM = "timm:"


def encoder(shape: Sequence[int], name: str = "small") -> nn.Module:
    """A backbone for inputs of `shape` ([c, h, w] or [d]); its attribute `width` is the embedding's dimension.

    small: 0.1 M (grey) or 0.25 M (colour) parameters. resnet18: He et al. (arXiv 1512.03385) with the stem for small
    images of SimCLR's appendix B.9: 3×3, stride 1, no max-pooling. vit_tiny: 5.4 M parameters, patches of 4×4. timm:NAME: a
    model of timm with random weights and without its head, by the extra `features`. Vectors get an MLP under any name.
    Sizes stand in brackets, as in `vit_tiny(depth=6, width=96)`: small has widths, resnet18 has first, vit_tiny has patch,
    width, depth and heads, and timm's models what they take.
    """
    name, sizes = sized(name)
    if name not in NAMES and not name.startswith(TIMM):
        raise ValueError(f"no encoder {name!r}; allowed: {', '.join(NAMES)}, {TIMM}NAME")
    if len(shape) == 1:
        return MLP(shape[0])
    if name == "vit_tiny":
        return ViT(shape, **sizes)
    if name.startswith(TIMM):
        network = OfTimm(shape, name.removeprefix(TIMM), **sizes)
    else:
        network = (ResNet18 if name == "resnet18" else SmallConvNet)(shape[0], **sizes)
    return network.to(memory_format=torch.channels_last)


def sized(name: str) -> tuple[str, dict[str, Any]]:
    """A backbone's name and its sizes.

    >>> sized("small(widths=(8, 16, 32, 64))")
    ('small', {'widths': (8, 16, 32, 64)})
    """
    bare, bracket, _ = name.partition("(")
    try:
        call = ast.parse(f"f{name.removeprefix(bare)}" if bracket else "f()", mode="eval").body
        assert isinstance(call, ast.Call)
        assert not call.args
        return bare, {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
    except (SyntaxError, ValueError, AssertionError):
        raise ValueError(f"encoder {name!r} can't be read; sizes are given as in vit_tiny(depth=6, width=96)") from None


def projector(width: int, hidden: int, out: int, *, layers: int = 2) -> nn.Sequential:
    """The MLP between embedding and loss: [b, width] to [b, out]; batch norm and ReLU after each hidden layer."""
    blocks: list[nn.Module] = []
    for _ in range(layers - 1):
        blocks += [nn.Linear(width, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True)]
        width = hidden
    return nn.Sequential(*blocks, nn.Linear(width, out))


def image_shape(x: Tensor) -> tuple[int, ...]:
    """The shape of one network input for raw inputs x: small grey images are brought to 28×28 by `pixels`."""
    shape = tuple(x.shape[1:])
    return (1, GREY_SIDE, GREY_SIDE) if len(shape) == 3 and shape[0] == 1 and shape[-1] < GREY_SIDE else shape


class SmallConvNet(nn.Sequential):
    """3×3 convolutions, max-pooling between them, then the mean over the plane: [b, c, h, w] to [b, width].

    Pooling, not strides: at the same cost strided convolutions clustered far worse in our trials.
    """

    def __init__(self, channels: int, *, widths: Sequence[int] = (16, 32, 64, 128)) -> None:
        first, second, third, last = widths
        super().__init__(
            *_conv_relu(channels, first, pool=True),
            *_conv_relu(first, second, pool=True),
            *_conv_relu(second, third),
            # Grey images are 7×7 by now, colour ones 8×8 and in want of a wider field.
            *_conv_relu(third, last, pool=channels > 1),
            *(_conv_relu(last, last) if channels > 1 else ()),
            PlaneMean(),
        )
        self.width = last

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings of images x in 0..1."""
        return super().forward(_centred(x))


class PlaneMean(nn.Module):
    """The mean over the plane: [b, c, h, w] to [b, c]."""

    def forward(self, x: Tensor) -> Tensor:
        """x.mean(dim=(2, 3))."""
        if x.requires_grad:
            # A mean's gradient comes in another memory order than x, which slows all layers below it.
            x.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
        return x.mean(dim=(2, 3))


class ResNet18(nn.Module):
    """ResNet-18 with a 3×3 stem and no max-pooling: [b, c, h, w] to [b, 8·first]. first: the stem's width."""

    def __init__(self, channels: int, *, first: int = 64) -> None:
        super().__init__()
        self.width = 8 * first
        self.stem = nn.Sequential(*_conv(channels, first), nn.ReLU(inplace=True))
        plan = [(1, 1, 1), (1, 1, 1), (1, 2, 2), (2, 2, 1), (2, 4, 2), (4, 4, 1), (4, 8, 2), (8, 8, 1)]
        plan = [(before * first, out * first, stride) for before, out, stride in plan]
        self.blocks = nn.Sequential(*(BasicBlock(*step) for step in plan))
        self.mean = PlaneMean()

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings of images x in 0..1."""
        return self.mean(self.blocks(self.stem(_centred(x))))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut (arXiv 1512.03385, figure 2)."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*_conv(channels, out, stride=stride), nn.ReLU(inplace=True), *_conv(out, out))
        plain = stride == 1 and channels == out
        self.shortcut = nn.Identity() if plain else nn.Sequential(*_conv(channels, out, stride=stride, side=1))

    def forward(self, x: Tensor) -> Tensor:
        """relu(body(x) + shortcut(x))."""
        return F.relu(self.body(x) + self.shortcut(x))


class OfTimm(nn.Module):
    """A model of timm without its head: [b, c, h, w] to [b, width]. Models of one fixed side are made for that of `shape`."""

    def __init__(self, shape: Sequence[int], name: str, **sizes: Any) -> None:
        super().__init__()
        try:
            import timm
        except ImportError:
            raise Unavailable(f"the backbone {TIMM}{name} needs the package timm; next: uv sync --extra features") from None
        about = timm.get_pretrained_cfg(name)
        if about is None:
            raise UserError(f"timm has no model {name!r}")
        if about.fixed_input_size:
            sizes = {"img_size": tuple(shape[1:]), **sizes}
        self.model = timm.create_model(name, pretrained=False, num_classes=0, in_chans=shape[0], **sizes)
        self.width = getattr(self.model, "head_hidden_size", None) or self.model.num_features

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings of images x in 0..1."""
        return self.model(_centred(x))


class MLP(nn.Sequential):
    """Two hidden layers for vectors: [b, d] to [b, 256]."""

    width = 256

    def __init__(self, dim: int) -> None:
        super().__init__(
            nn.Linear(dim, 256, bias=False),
            nn.BatchNorm1d(256),
            nn.ReLU(inplace=True),
            nn.Linear(256, 256, bias=False),
            nn.BatchNorm1d(256),
            nn.ReLU(inplace=True),
        )


def _conv(channels: int, out: int, *, stride: int = 1, side: int = 3) -> tuple[nn.Module, nn.Module]:
    """A convolution without bias, and batch norm."""
    return nn.Conv2d(channels, out, side, stride, side // 2, bias=False), nn.BatchNorm2d(out)


def _conv_relu(channels: int, out: int, *, pool: bool = False) -> tuple[nn.Module, ...]:
    """Convolution and ReLU, max-pooled: pooling first gives the same from a quarter of the work."""
    return *_conv(channels, out), *([nn.MaxPool2d(2)] if pool else []), nn.ReLU(inplace=True)


def _centred(x: Tensor) -> Tensor:
    """0..1 to −1..1, in the memory order that convolutions like best."""
    return (2 * x - 1).contiguous(memory_format=torch.channels_last)
