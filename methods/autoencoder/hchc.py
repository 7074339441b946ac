"""HCHC: deep clustering with a loss on neighbours, drawn on a circle whose anchors follow a shortest Hamiltonian cycle.

Huang, Cheng, Li, Zhang, "High-dimensional Clustering onto Hamiltonian Cycle", ICML 2023. arXiv:2304.14531.
Idea: GLDC trains an autoencoder so that close rows share their cluster (local) while DEC's target sharpens the clusters
(global). Clusters are then anchors on a circle, similar ones side by side, and each row lies where its probabilities put it.
Deviates: see the card.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import autocast, batches, flat, through
from methods.parts.kmeans import kmeans
from methods.parts.targets import Centres, divergence, sharpened
from methods.run import Run

EXACT = 12  # clusters up to which the shortest cycle is searched exactly


@dataclass
class HCHC(Method):
    """`embed` gives the circular layout: two dimensions, which the map of a cell's figures shows as they are."""

    card = Card(
        title="High-dimensional Clustering onto Hamiltonian Cycle",
        authors="Huang, Cheng, Li, Zhang",
        year=2023,
        arxiv="2304.14531",
        told={"k"},
        tuned_on={"mnist", "fashion-mnist", "usps", "mnist-test"},
        tuning="none; 1 trial of 2 epochs on mnist-test",
        parts={"autoencoder": "ae_kmeans"},
        schedule="20 epochs from a trained autoencoder",
        deviations=[
            "the autoencoder is ae_kmeans, with ten dimensions; the authors' has five on Fashion-MNIST",
            "formulas and weights are those of the authors' solver",
            "beyond 12 clusters the cycle is the best of nearest-neighbour tours improved by 2-opt, not the shortest",
        ],
        settings={
            "smoke": {"epochs": 2},
            "quick": {"epochs": 6},
        },
    )

    epochs: int = 20  # the authors' solver
    batch_size: int = 128  # the authors' solver
    lr: float = 0.001  # the authors' solver: Adam
    local: float = 5.0  # the authors' solver: first weight of the neighbours' loss
    decay: float = 0.8  # the authors' solver: its factor after each epoch
    least: float = 0.2  # the authors' solver: its last weight
    steady: float = 10.0  # the authors' solver: weight of agreement under noise
    noise: float = 0.2  # the authors' solver: its standard deviation
    sharp: float = 0.001  # the authors' solver: weight of the divergence from DEC's target
    nearest: int = 11  # the authors' solver: rows of a batch that count as close, the row itself among them
    sigma: float = 10.0  # the authors' solver: of the rank kernel
    slope: float = 0.2  # the authors' solver: similarity falls with the kernel as exp(−slope · kernel)
    starts: int = 10  # k-means restarts, as in protocol v1
    precision: str = "bf16"  # ours; codes, assignments and losses between them are float32

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """GLDC from the autoencoder and k-means, then the layout."""
        x = inputs.train
        self.network = copy.deepcopy(run.parts["autoencoder"].network).to(run.device).train()
        centres, _ = kmeans(through(self.network.encoder, x, flat), k, run, starts=self.starts)
        self.head = Centres(centres).to(run.device)
        self.anchors = torch.zeros(k, 2)
        optimiser = torch.optim.Adam([*self.network.parameters(), *self.head.parameters()], lr=self.lr, fused=True)
        for epoch in run.epochs(self.epochs):
            target = sharpened(self.assign_soft(x))
            weight = max(self.local * self.decay**epoch, self.least)
            for rows in batches(len(x), self.batch_size, run.generator, drop_last=True):
                part = flat(x[rows].to(run.device))
                noisy = part + self.noise * torch.randn(part.shape, generator=run.generator).to(run.device)
                with autocast(self.precision, run.device):
                    code, reconstruction = self.network(part)
                    shaken = self.network.encoder(noisy)
                q = self.head(code)
                close = similarities(code.detach(), self.nearest, self.sigma, self.slope)
                local = pair_loss(q, close)
                steady = F.mse_loss(self.head(shaken), q)
                kl = divergence(target[rows].to(run.device), q)
                loss = reconstruction + weight * local + self.steady * steady + self.sharp * kl
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                run.log(reconstruction=reconstruction, local=local, steady=steady, kl=kl)
        self.network.eval()
        self.anchors = circle(self.assign_soft(x))

    def assign_soft(self, x: Tensor) -> Tensor:
        """q of every row: [n, k] float32."""
        with torch.no_grad():
            code = through(self.network.encoder, x, flat)
            return self.head(code.to(self.head.centres.device)).to(x.device)

    def assign(self, x: Tensor) -> Tensor:
        """The most probable cluster: [n] int64."""
        return self.assign_soft(x).argmax(1)

    def embed(self, x: Tensor) -> Tensor:
        """The layout [n, 2] float32, within the unit circle: Σ_j q_ij · anchor_j."""
        return self.assign_soft(x) @ self.anchors.to(x.device)


def similarities(code: Tensor, nearest: int, sigma: float, slope: float) -> Tensor:
    """How much rows of a batch should share a cluster: [b, b] in 0..1, for codes [b, d].

    The rank kernel of rows i and j is (rank_ij + rank_ji + 1) · exp(d_ij / σ), d their squared distance over the batch's
    largest, rank_ij the place of j among the neighbours of i, 0 for i itself. Similarity is exp(−slope · kernel) where i is
    among the `nearest` rows of j by the kernel, else 0.
    """
    far = torch.cdist(code, code, compute_mode="donot_use_mm_for_euclid_dist").square()
    far = far / far.max().clamp_min(1e-12)
    rank = far.argsort(dim=1, stable=True).argsort(dim=1)
    kernel = (rank + rank.T + 1) * (far / sigma).exp()
    limit = kernel.kthvalue(min(nearest + 1, len(code)), dim=0, keepdim=True).values
    return torch.where(kernel < limit, (-slope * kernel).exp(), 0.0)


def pair_loss(q: Tensor, close: Tensor) -> Tensor:
    """Binary cross-entropy over all pairs between P_ij = Σ_c q_ic q_jc, of q [b, k], and their similarity [b, b]."""
    together = q @ q.T
    return -(close * together.clamp_min(1e-9).log() + (1 - close) * (1 - together).clamp_min(1e-9).log()).mean()


def circle(q: Tensor) -> Tensor:
    """Anchors [k, 2] on the unit circle for probabilities q [n, k].

    Two clusters are (1 − correlation of their columns)/2 apart; the arcs between neighbours on the shortest Hamiltonian cycle
    are in proportion to that.
    """
    k = q.shape[1]
    columns = q.double() - q.double().mean(0)
    spread = columns.norm(dim=0).clamp_min(1e-12)
    apart = ((1 - (columns.T @ columns) / (spread[:, None] * spread)) / 2).clamp_min(0).fill_diagonal_(0).tolist()
    order = shortest_cycle(apart)
    arcs = torch.tensor([apart[order[i - 1]][order[i]] for i in range(k)])  # the arc before each anchor
    angles = 2 * math.pi * (arcs.cumsum(0) - arcs[0]) / arcs.sum().clamp_min(1e-12) - math.pi / 2
    anchors = torch.zeros(k, 2)
    anchors[order] = torch.stack([angles.cos(), angles.sin()], dim=1).float()
    return anchors


def shortest_cycle(apart: Sequence[Sequence[float]]) -> list[int]:
    """The order of the shortest cycle through all nodes of symmetric distances [k][k], from node 0."""
    k = len(apart)
    if k > EXACT:
        tours = (two_opt(nearest_tour(apart, start), apart) for start in range(k))
        best = min(tours, key=lambda tour: length(tour, apart))
        return [*best[best.index(0) :], *best[: best.index(0)]]
    # Held and Karp: the shortest path from 0 through a set of nodes to one of them
    paths: dict[tuple[frozenset[int], int], tuple[float, list[int]]] = {
        (frozenset([j]), j): (apart[0][j], [0, j]) for j in range(1, k)
    }
    for size in range(2, k):
        for nodes in map(frozenset, itertools.combinations(range(1, k), size)):
            for last in nodes:
                rest = nodes - {last}
                cost, path = min((paths[rest, j][0] + apart[j][last], paths[rest, j][1]) for j in rest)
                paths[nodes, last] = (cost, [*path, last])
    every = frozenset(range(1, k))
    return min((paths[every, j][0] + apart[j][0], paths[every, j][1]) for j in every)[1] if k > 1 else [0]


def length(tour: Sequence[int], apart: Sequence[Sequence[float]]) -> float:
    """The length of the closed tour."""
    return sum(apart[tour[i - 1]][tour[i]] for i in range(len(tour)))


def nearest_tour(apart: Sequence[Sequence[float]], start: int) -> list[int]:
    """From `start` always to the nearest node that is left."""
    tour, left = [start], set(range(len(apart))) - {start}
    while left:
        tour.append(min(left, key=lambda j: (apart[tour[-1]][j], j)))
        left.remove(tour[-1])
    return tour


def two_opt(tour: list[int], apart: Sequence[Sequence[float]]) -> list[int]:
    """Turns pieces of the tour around as long as that shortens it."""
    better = True
    while better:
        better = False
        for i, j in itertools.combinations(range(1, len(tour)), 2):
            a, b, c, d = tour[i - 1], tour[i], tour[j], tour[(j + 1) % len(tour)]
            if apart[a][c] + apart[b][d] < apart[a][b] + apart[c][d] - 1e-12:
                tour[i : j + 1] = tour[i : j + 1][::-1]
                better = True
    return tour
