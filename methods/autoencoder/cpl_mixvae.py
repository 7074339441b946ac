"""cpl-mixVAE: two mixture autoencoders see two views of every image and must agree on its cluster.

Marghi, Gala, Sümbül, "Mixture Representation Learning with Coupled Autoencoders", 2021. arXiv:2007.09880.
Idea: each arm encodes its view as a category and a continuous state. A distance between the arms' categorical
posteriors, taken on the simplex, couples the arms: a category that only one arm finds in its own view costs both.
Deviates: see the card.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import autocast, batches, flat, through
from methods.parts.variational import gaussian_kl, misfit, sample_categorical, sample_gaussian
from methods.parts.views import views
from methods.run import Run

FLOOR = 0.001  # ours: of a category's variance, so that one nobody uses doesn't drown the others


@dataclass
class CplMixVAE(Method):
    """Coupled mixture autoencoders; an image's cluster is the one the arms, on average, think most probable."""

    card = Card(
        title="Mixture Representation Learning with Coupled Autoencoders",
        authors="Marghi, Gala, Sümbül",
        year=2021,
        arxiv="2007.09880",
        told={"k", "augmentations"},
        modalities={"image"},
        tuned_on={"mnist", "digits"},
        tuning="on digits, 40 to 60 epochs, 1 seed each: 4 weights of the coupling, 2 posteriors bounded by a second softmax, "
        "5 forms of the variance; 1 run on mnist-test for the cost",
        schedule="until the bound settles",
        deviations=[
            "both arms' log-probabilities are divided by one deviation, of a floor of 0.03, not each by its own: with their own "
            "the arms agreed on 11% of the rows of digits after 40 epochs, with one on 55%",
            "views are crops, rotations and changes of brightness; the paper trains a network that makes them",
            "the cluster is read from the mean of both arms on the image itself",
            "two hidden layers of 500 on either side",
            "nothing keeps every category in use: three of ten stay empty in one of two seeds of mnist-test",
        ],
        settings={
            "smoke": {"epochs": 3, "width": 64},
            "quick": {"epochs": 10},
            "paper": {"epochs": 500},
        },
    )

    arms: int = 2  # the paper's pair
    coupling: float = 1.0  # the authors' code: λ
    states: int = 10  # that of JointVAE, with which the paper compares: dimensions of the continuous state
    temperature: float = 0.67  # that of JointVAE
    width: int = 500  # ours
    epochs: int = 30  # ours
    batch_size: int = 256  # ours
    lr: float = 0.001  # the authors' code: Adam
    precision: str = "bf16"  # ours; codes and likelihoods are float32

    def build(self, shape: tuple[int, ...], k: int | None) -> None:
        """Makes the arms, alike but for their weights."""
        self.network = nn.ModuleList([Arm(math.prod(shape), self.width, self.states, k) for _ in range(self.arms)])

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Maximises the coupled evidence lower bound, each arm on a view of its own."""
        x = inputs.train
        self.build(tuple(x.shape[1:]), k)
        self.network.to(run.device).train()
        look = views(x.shape[1])
        optimizer = torch.optim.Adam(self.network.parameters(), lr=self.lr, fused=True)
        for _ in run.epochs(self.epochs, keep={"network": self.network, "optimizer": optimizer}):
            for rows in batches(len(x), self.batch_size, run.generator, drop_last=True):
                images = x[rows].float() / 255
                bounds, posteriors = [], []
                for arm in self.network:
                    view = look(images, run.generator).flatten(1).to(run.device)
                    with autocast(self.precision, run.device):
                        hidden, log_q = arm.category(view)
                        c = sample_categorical(log_q, self.temperature, run.generator)
                        mean, log_var = arm.style(hidden, c)
                        output = arm.decoder(torch.cat([c, sample_gaussian(mean, log_var, run.generator)], dim=1))
                    bounds.append((misfit(output, view, image=True) + gaussian_kl(mean, log_var).sum(1)).mean())
                    posteriors.append(log_q)
                loss, apart = coupled(bounds, posteriors, self.coupling)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                run.log(bound=sum(bounds), apart=apart, agreement=agreement(posteriors))
        self.network.eval()

    def embed(self, x: Tensor) -> Tensor:
        """States and categorical posteriors of all arms, side by side: [n, arms · (state + k)] float32."""
        return torch.cat([through(arm.codes, x, flat) for arm in self.network], dim=1)

    def assign_soft(self, x: Tensor) -> Tensor:
        """The mean of the arms' q(c|x): [n, k] float32."""
        return sum(through(arm.codes, x, flat)[:, self.states :] for arm in self.network) / self.arms

    def assign(self, x: Tensor) -> Tensor:
        """The most probable cluster: [n] int64."""
        return self.assign_soft(x).argmax(1)


def coupled(bounds: Sequence[Tensor], log_q: Sequence[Tensor], coupling: float) -> tuple[Tensor, Tensor]:
    """The loss of A arms and the mean distance of their posteriors, scalars.

    (A − 1) Σ_a bound_a + Σ_{a<b} (λ d²(q_a, q_b) − H(q_a) − H(q_b)), negative. bounds: each arm's misfit and
    divergence of its state, scalars. log_q: each arm's [b, k].
    """
    entropies = [-(q.exp() * q).sum(1).mean() for q in log_q]
    pairs = [(a, b) for a in range(len(log_q)) for b in range(a)]
    apart = [distance(log_q[a], log_q[b]).mean() for a, b in pairs]
    joint = sum(coupling * d - entropies[a] - entropies[b] for d, (a, b) in zip(apart, pairs, strict=True))
    return (len(log_q) - 1) * sum(bounds) + joint, sum(apart) / len(apart)


def distance(log_p: Tensor, log_q: Tensor) -> Tensor:
    """d²(p, q) = Σ_k (log p_k − log q_k)² / σ_k² of rows [b, k]: [b].

    σ_k² is the variance of the k-th probability over the batch, the mean of both arms'. It stands in for the centring of
    Aitchison's distance, and makes the distance grow where a category is used alike by all rows: then there is less to agree on.
    """
    spread = (log_p.exp().var(0) + log_q.exp().var(0)) / 2 + FLOOR
    return ((log_p - log_q).square() / spread).sum(1)


def agreement(log_q: Sequence[Tensor]) -> Tensor:
    """The share of rows that the first two arms put into one cluster: the consensus, a scalar."""
    return (log_q[0].argmax(1) == log_q[1].argmax(1)).float().mean()


class Arm(nn.Module):
    """A mixture autoencoder of vectors [b, d]: a category from the hidden layer, a state from both, a decoder of the codes."""

    def __init__(self, d: int, width: int, state: int, k: int) -> None:
        super().__init__()
        norm = {"affine": False, "eps": 1e-8}  # the authors' code
        self.trunk = nn.Sequential(
            *(nn.Linear(d, width), nn.ReLU(), nn.BatchNorm1d(width, **norm)),
            *(nn.Linear(width, width), nn.ReLU(), nn.BatchNorm1d(width, **norm)),
        )
        self.logits = nn.Linear(width, k)
        self.moments = nn.Linear(width + k, 2 * state)
        sizes = [nn.Linear(k + state, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, d)]
        self.decoder = nn.Sequential(*sizes)

    def category(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The hidden layer [b, width] and log q(c|x) [b, k], float32."""
        hidden = self.trunk(x).float()
        with torch.autocast(x.device.type, enabled=False):
            return hidden, self.logits(hidden).log_softmax(1)

    def style(self, hidden: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance [b, state] of q(s|c, x), float32."""
        with torch.autocast(hidden.device.type, enabled=False):
            return self.moments(torch.cat([hidden, c], dim=1)).chunk(2, dim=1)

    def codes(self, x: Tensor) -> Tensor:
        """The state's mean beside q(c|x): [b, state + k]."""
        hidden, log_q = self.category(x)
        return torch.cat([self.style(hidden, log_q.exp())[0], log_q.exp()], dim=1)
