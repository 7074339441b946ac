"""Backbones seen before the mean over their plane, and images in pieces."""

from __future__ import annotations

from torch import Tensor, nn

from methods.parts.encoders import PlaneMean, _centred


class Plane(nn.Module):
    """A backbone without its last mean: [b, c, h, w] to [b, width, h', w']. Its weights are the backbone's own."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """The features of every place."""
        x = _centred(x)
        for layer in self.network.children():
            if isinstance(layer, PlaneMean):
                return x
            x = layer(x)
        raise ValueError(f"{type(self.network).__name__} has no plane before its output; allowed: small, resnet18")


class Patches(nn.Module):
    """A backbone applied to square patches that overlap by half: [b, c, h, w] to [b, width, rows, columns].

    part: a patch's side as part of the image's shorter one.
    """

    def __init__(self, network: nn.Module, part: float) -> None:
        super().__init__()
        self.network, self.part = network, part

    def forward(self, x: Tensor) -> Tensor:
        """The features of every patch, of the uppermost row first."""
        side = round(self.part * min(x.shape[2:]))
        tiles = x.unfold(2, side, side // 2).unfold(3, side, side // 2)
        b, c, rows, columns = tiles.shape[:4]
        z = self.network(tiles.permute(0, 2, 3, 1, 4, 5).reshape(-1, c, side, side))
        return z.view(b, rows, columns, -1).permute(0, 3, 1, 2)
