"""CPC: predicts what lower rows of an image will look like, in features, from the rows above.

Van den Oord, Li, Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018. arXiv:1807.03748.
Idea: an image is a grid of overlapping patches. What is shared by distant parts of it is what it shows, while their noise is
not; so features that predict features, told from those of other patches, keep the content.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Card
from methods.parts.engine import FromViews
from methods.parts.planes import Patches
from methods.run import Run


@dataclass
class CPC(FromViews):
    """`embed` gives the features of all patches, row by row; clusters come from k-means on them."""

    card = Card(
        title="CPC: contrastive predictive coding",
        authors="van den Oord, Li, Vinyals",
        year=2018,
        arxiv="1807.03748",
        told={"augmentations"},
        tuned_on={"imagenet", "mnist-test"},
        tuning="ours: eight trials of 4 to 12 epochs on a quarter of mnist-test: patches, rows ahead, jitter, embeddings; two of "
        "nine on all of it, without and with features brought to variance 1",
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1},
            "quick": {"epochs": 25},
            "paper": {"epochs": 200, "batch": 128, "warm_up": 0, "backbone": "resnet18"},
        },
        schedule="on ImageNet, ResNet-101 on patches of 64 of 256 pixels, batches of 128",
        deviations=(
            "a small convolutional network in place of ResNet-101, except at budget paper: ResNet-18; with batch norm, where the "
            "paper has none",
            "a stack of two causal convolutions in place of a PixelCNN",
            "patches have half the image's side, not a quarter: a grid of 3×3, not 7×7",
            "an embedding is the features of all patches, not their mean: on a quarter of mnist-test even an untrained network "
            "has a kNN of 0.91 so, and of 0.74 with the mean",
            "negatives are the other patches of the image and the patches at the same place of the batch's other images",
            "views are this family's without jitter, as in the paper: by it an image's patches are told from others'; there kNN "
            "after nine epochs was 0.91 with it and 0.94 without. Patches aren't moved by themselves",
        ),
    )

    side: float = 0.5  # of a patch, as part of the image's; ours, the paper has 64 of 256 pixels
    ahead: int = 2  # rows; ours, all that are below the first

    def heads(self, width: int) -> list[nn.Module]:
        """The autoregressive network, and one linear prediction W_k for each number of rows ahead.

        What embeds an image are the features of its patches, row by row.
        """
        self.network = nn.Sequential(Patches(self.network, self.side), nn.Flatten())
        self.context = nn.Sequential(Causal(width), Causal(width))
        self.predictions = nn.ModuleList([nn.Linear(width, width, bias=False) for _ in range(self.ahead)])
        return [self.context, self.predictions]

    def draw(self, images: Tensor, run: Run) -> list[Tensor]:
        """One view without jitter: all patches of an image would share it, and be told from others' by it."""
        return [replace(self.look(images.shape[1]), jitter=0.0)(images, run.generator)]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Equation 4, averaged over how far ahead, places and images."""
        z = self.outputs(self.network[0], views[0])
        c = self.outputs(self.context, z)
        terms = []
        for ahead, prediction in enumerate(self.predictions, 1):
            if ahead < z.shape[2]:
                said = self.outputs(prediction, c[:, :, :-ahead].flatten(2).transpose(1, 2))
                terms.append(infonce(said, z.flatten(2).transpose(1, 2), ahead * z.shape[3]))
        return torch.stack(terms).mean()


class Causal(nn.Module):
    """A convolution over the grid that sees its own row and the one above, beside its input: [b, d, r, s] to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(width, width, (2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """x + relu of what is at and above each place."""
        return x + F.relu(self.convolution(F.pad(x, (1, 1, 1, 0))))


def infonce(said: Tensor, z: Tensor, skipped: int) -> Tensor:
    """Equation 4 with f = exp(z'·W_k·c): a scalar.

    said: predictions W_k·c [b, p − skipped, d], the i-th of place skipped + i; z: the features of all places [b, p, d].
    """
    b, p = z.shape[:2]
    targets = z[:, skipped:]
    across = torch.einsum("ipd,jpd->ipj", said, targets)  # the same place of all images
    within = said @ z.transpose(1, 2)  # all places of the same image
    own = torch.eye(p, dtype=torch.bool, device=z.device)[skipped:]
    logits = torch.cat([across, within.masked_fill(own, float("-inf"))], dim=2)
    wanted = torch.arange(b, device=z.device)[:, None].expand(b, p - skipped)
    return F.cross_entropy(logits.flatten(0, 1), wanted.flatten())
