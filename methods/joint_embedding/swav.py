"""SwAV: predicts from one view the cluster code of the other; codes are balanced over the batch.

Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", NeurIPS 2020. arXiv:2006.09882.
Idea: trainable prototypes; a batch is shared out among them in equal parts by optimal transport, and each view has to
predict the share of the other.
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
from methods.parts.teacher import Queue
from methods.parts.transport import sinkhorn
from methods.parts.views import multi_crop
from methods.run import Run


@dataclass
class SwAV(FromViews):
    """`embed` gives the backbone's output; clusters come from k-means on it."""

    card = Card(
        title="SwAV",
        authors="Caron, Misra, Mairal, Goyal, Bojanowski, Joulin",
        year=2020,
        arxiv="2006.09882",
        told={"augmentations"},
        tuned_on={"imagenet"},
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1, "prototypes": 16, "queue": 64},
            "quick": {"epochs": 25, "prototypes": 100},
            "paper": {"epochs": 800, "warm_up": 10, "backbone": "resnet18", "prototypes": 3000, "queue": 3840, "small": 6},
        },
        schedule="800 epochs on ImageNet, ResNet-50, batches of 4096, six small crops beside the two views",
        deviations=(
            "a small convolutional network in place of ResNet-50, except at budget paper: ResNet-18",
            "AdamW in place of LARS; 300 prototypes in place of 3000; two small crops in place of six",
            "the family's preset of views, in crops of 0.4 of the image or more, the small ones of 0.15 to 0.4",
        ),
    )

    hidden: int = 256  # ours, twice the backbone's width
    projection: int = 128  # appendix A
    prototypes: int = 300  # ours; the paper has 3000 for 1000 classes
    temperature: float = 0.1  # appendix A
    epsilon: float = 0.05  # appendix A
    iterations: int = 3  # section 3.1
    queue: int = 1024  # codes of that many earlier features help to balance a small batch (appendix A)
    queue_from: int = 10  # ours: the epoch from which the queue is used
    small: int = 2  # ours: small crops beside the two views
    frozen: int = 1  # appendix A: epochs in which prototypes stay as they are

    def heads(self, width: int) -> list[nn.Module]:
        """The projector, prototypes as a bias-free layer, and a queue for each view."""
        self.projector = projector(width, self.hidden, self.projection)
        self.bank = nn.Linear(self.projection, self.prototypes, bias=False)
        self.queues = nn.ModuleList([Queue(self.queue, self.projection) for _ in range(2)])
        return [self.projector, self.bank]

    def before_epoch(self, epoch: int, x: Tensor, run: Run) -> None:
        """Prototypes stay where they are at first; the queue joins in later."""
        self.bank.weight.requires_grad_(epoch >= self.frozen)
        self._queued = epoch >= self.queue_from

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """Equation 6: cross-entropy of every view's softmax with the codes of the two whole views, its own left out."""
        z = [F.normalize(one, dim=1) for one in self.passes(nn.Sequential(self.network, self.projector), views)]
        bank = F.normalize(self.bank.weight, dim=1)
        scores = [one @ bank.T for one in z]
        codes = [self._code(one.detach(), queue, bank) for one, queue in zip(z[:2], self.queues, strict=True)]
        pairs = [(i, j) for i in range(2) for j in range(len(views)) if i != j]
        return sum(swapped(scores[j], codes[i], self.temperature) for i, j in pairs) / len(pairs)

    def draw(self, images: Tensor, run: Run) -> list[Tensor]:
        """Two whole views and `small` small ones (section 3.2)."""
        looks = multi_crop(images.shape[1], images.shape[-1], small=self.small)
        return [look(images, run.generator) for look in looks]

    @torch.no_grad()
    def _code(self, z: Tensor, queue: Queue, bank: Tensor) -> Tensor:
        """Codes [b, prototypes] of features z [b, d], balanced over them and the queue's."""
        rows = torch.cat([z, queue.rows]) if self._queued else z
        code = sinkhorn(rows @ bank.T, epsilon=self.epsilon, iterations=self.iterations)[: len(z)]
        queue.put(z)
        return code


def swapped(scores: Tensor, code: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of softmax(scores / temperature) with a code, both [b, prototypes]: a scalar."""
    return -(code * F.log_softmax(scores / temperature, dim=1)).sum(1).mean()
