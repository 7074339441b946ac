"""A vision transformer for small images (Dosovitskiy et al., arXiv 2010.11929; its tiny size is DeiT's, arXiv 2012.12877).

Places are sines and cosines, as in MoCo v3 (arXiv 2104.02057) and MAE: nothing is learned of them, so that views of any side
that is a whole number of patches can be seen, each spread over the places of a whole image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOWEST = 10_000.0  # the longest wave of a place, over 2π


class ViT(nn.Module):
    """Images [b, c, h, w] in 0..1 to the output of the class token, [b, width]."""

    def __init__(self, shape: Sequence[int], *, patch: int = 4, width: int = 192, depth: int = 12, heads: int = 3) -> None:
        super().__init__()
        channels, *sides = shape
        if any(side % patch for side in sides) or width % heads or width % 4:
            raise ValueError(
                f"{sides[0]}×{sides[1]} images in patches of {patch}, width {width}, {heads} heads: sides must be whole "
                "numbers of patches, the width one of heads and of 4"
            )
        self.width, self.grid = width, [side // patch for side in sides]
        self.patches = nn.Conv2d(channels, width, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.apply(_start)
        nn.init.trunc_normal_(self.token, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings of images x, whose sides may differ from those of the first."""
        return self.tokens(x)[:, 0]

    def tokens(self, x: Tensor) -> Tensor:
        """The output for the class token and for all patches, row by row: [b, 1 + patches, width]."""
        x = self.patches(2 * x - 1)
        x = x.flatten(2).transpose(1, 2) + self.places(x.shape[-2:]).to(x)
        x = torch.cat([self.token.expand(len(x), -1, -1).to(x), x], dim=1)
        return self.norm(self.blocks(x))

    def places(self, grid: Sequence[int]) -> Tensor:
        """Codes of a grid's places, row by row: [rows·columns, width], a quarter each sin and cos of row and of column."""
        waves = SLOWEST ** -torch.arange(0, 1, 4 / self.width, device=self.token.device)
        # Smaller grids are spread over the places of the whole one.
        row, column = (
            ((torch.arange(n, device=waves.device) + 0.5) * (whole / n) - 0.5)[:, None] * waves
            for n, whole in zip(grid, self.grid, strict=True)
        )
        row, column = row[:, None].expand(-1, grid[1], -1), column.expand(grid[0], -1, -1)
        return torch.cat([row.sin(), row.cos(), column.sin(), column.cos()], dim=2).flatten(0, 1)


class Block(nn.Module):
    """Attention and a perceptron, each after layer norm and beside a shortcut: [b, n, width] to the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Equations 2 and 3 of the paper."""
        b, n, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(seen.transpose(1, 2).reshape(b, n, width))
        return x + self.mlp(self.norm2(x))


def _start(module: nn.Module) -> None:
    """The first weights of linear layers, DeiT's."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
