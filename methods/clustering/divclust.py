"""DivClust: several clusterings at once, kept from being one and the same, and their consensus.

Metaxas, Tzimiropoulos, Patras, "DivClust: Controlling Diversity in Deep Clustering", CVPR 2023. arXiv:2304.01042.
Idea: a consensus of clusterings is better than one if they differ; heads on one network don't. A loss pushes clusters of two
heads apart where they are more alike than a bound, and the bound moves until the heads' measured likeness is as asked for.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.base import Inputs
from methods.base import Card
from methods.clustering.cc import of_clusters, perceptron
from methods.parts.batches import through
from methods.parts.clusters import Memory
from methods.parts.consensus import mean_nmi, meta_clusters, voted
from methods.parts.contrast import nt_xent
from methods.parts.heads import ClustersFromViews, Heads
from methods.run import Run


@dataclass
class DivClust(ClustersFromViews):
    """On contrastive clustering. `assign` is by the consensus of the clusterings; `embed` gives the backbone's output."""

    card = Card(
        title="DivClust",
        authors="Metaxas, Tzimiropoulos, Patras",
        year=2023,
        arxiv="2304.01042",
        told={"k", "augmentations"},
        tuned_on={"cifar10", "cifar100-20", "imagenet-10", "mnist-test"},
        tuning="ours: three runs of at most 24 epochs on mnist-test, the last with CC's heads on features of variance 1",
        modalities={"image"},
        settings={
            "smoke": {"epochs": 2, "batch": 64, "warm_up": 1, "count": 3},
            "quick": {"epochs": 10},
            "paper": {
                "epochs": 1000,
                "lr": 3e-4,
                "weight_decay": 0.0,
                "warm_up": 0,
                "backbone": "resnet18",
                "count": 20,
                "every": 20,
                "remembered": 40,
            },
        },
        schedule="1000 epochs on CIFAR-10, ResNet-34, batches of 256, 20 clusterings",
        deviations=(
            "as contrastive clustering here: the small network, the preset of views, heads on features of variance one, AdamW in "
            "fewer and larger steps",
            "ten clusterings; the bound moves every second step, measured on fewer batches, since there are far fewer steps",
            "the consensus is by meta-clusters of clusters, which new images can be assigned to; the paper's is SCCBG",
        ),
    )

    epochs: int = 24  # ours
    temperature: float = 0.5  # CC, section 4.2: of instances
    cluster_temperature: float = 1.0  # CC, section 4.2
    projection: int = 128  # CC, section 4.2
    count: int = 10  # clusterings; ours, the paper has 20
    target: float = 0.9  # D^T: the NMI of two clusterings, on average at most; one of the paper's values
    every: int = 2  # steps from one move of the bound to the next; ours, the authors' code has 20
    rate: float = 0.99  # by which the bound moves; the authors' code
    remembered: int = 10  # batches that likeness is measured on; ours, the authors' code has 10,000 images

    def heads(self, width: int) -> list[nn.Module]:
        """CC's perceptrons: one into the row space, and as many into column spaces as there are clusterings."""
        self.projector = perceptron(width, self.projection)
        self.clusterers = Heads(perceptron(width, self._k) for _ in range(self.count))
        return [self.projector, self.clusterers]

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Trains the clusterings, then finds their consensus."""
        super().fit(inputs, k, run)
        del self.memory
        self.consensus = meta_clusters(self._each(inputs.train).argmax(2), self._k, run)

    def begin(self, x: Tensor, run: Run) -> None:
        """The bound, and the last labels of each clustering, as good as random at first."""
        labels = torch.randint(self._k, (self.count, self.remembered * self.batch), generator=run.generator)
        self.memory = Memory(labels=labels, bound=torch.ones(()), steps=torch.zeros((), dtype=torch.long))

    def before_epoch(self, epoch: int, x: Tensor, run: Run) -> None:
        """The consensus of the last labels, for snapshots."""
        self.consensus = meta_clusters(self.memory.labels, self._k, run)

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """CC's loss, its part for clusters averaged over clusterings, and what every two of them are too alike."""
        features = self.outputs(self.network, torch.cat(views))
        z = self.outputs(self.projector, features).chunk(2)
        p = self.outputs(self.clusterers, features).softmax(2)
        each = [of_clusters(*own.chunk(2), self.cluster_temperature) for own in p]
        self._measure(p.detach())
        return nt_xent(*z, self.temperature) + torch.stack(each).mean() + too_alike(p, self.memory.bound)

    def _measure(self, p: Tensor) -> None:
        """Notes the labels of p [count, 2b, k]; from time to time moves the bound, down if heads are too alike, else up."""
        memory, size = self.memory, self.memory.labels.shape[1]
        memory.labels.copy_(torch.cat([p[:, : p.shape[1] // 2].argmax(2), memory.labels], dim=1)[:, :size])
        memory.steps += 1
        if memory.steps % self.every == 0:
            over = mean_nmi(memory.labels, self._k) > self.target
            memory.bound.mul_(torch.where(over, self.rate, 2 - self.rate)).clamp_(max=1)

    def diagnosed(self, views: list[Tensor]) -> dict[str, float]:
        """Those of all methods on views, the bound, and the heads' likeness."""
        alike = {"bound": self.memory.bound, "nmi_of_heads": mean_nmi(self.memory.labels, self._k)}
        return {**super().diagnosed(views), **{name: float(f"{float(value):.4g}") for name, value in alike.items()}}

    def _each(self, x: Tensor) -> Tensor:
        """Probabilities of all clusterings: [count, n, k]."""
        features = self.embed(x)
        said = [through(head, features, Tensor.float) for head in self.clusterers.each]
        return torch.stack(said).softmax(2)

    def assign_soft(self, x: Tensor) -> Tensor:
        """Meta-clusters' shares: [n, k] float32."""
        return voted(self._each(x), self.consensus)


def too_alike(p: Tensor, bound: Tensor | float) -> Tensor:
    """[likeness of two clusterings − bound]₊, added over ordered pairs of clusterings p [h, b, k]: a scalar.

    Likeness: the mean over the clusters of one of the largest cosine of their columns with a column of the other.
    """
    columns = F.normalize(p, dim=1)
    cosines = torch.einsum("hbc,gbd->hgcd", columns, columns)
    alike = cosines.amax(3).mean(2)
    apart = ~torch.eye(len(p), dtype=torch.bool, device=p.device)
    return (alike - bound).clamp_min(0)[apart].sum()
