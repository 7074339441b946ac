"""ClusterFuG: multicut on the complete graph, whose costs are inner products of features; greedy contraction.

Abbas, Swoboda, "ClusterFuG: clustering fully connected graphs by multicut", ICML 2023. arXiv:2301.12159.
Idea: every pair of rows has a cost, positive where they should stay together. The pair that costs most to cut is joined,
and the costs of the new node are sums; this goes on while any pair attracts. With costs that are inner products the sums
are inner products of summed features, so that n² costs are never written down: a nearest neighbour is the dearest edge.
It finds the number of clusters itself. Deviates: see the card.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from datasets.base import Inputs
from methods.base import Card, Method
from methods.run import Run


@dataclass
class ClusterFuG(Method):
    """Dense greedy additive edge contraction with kept lists of nearest neighbours, on an autoencoder's codes."""

    card = Card(
        title="ClusterFuG: clustering fully connected graphs by multicut",
        authors="Abbas, Swoboda",
        year=2023,
        arxiv="2301.12159",
        told=set(),
        tuned_on={"mnist", "mnist-test", "usps", "shapes", "digits"},
        tracks={"transductive"},
        max_n=100000,
        parts={"autoencoder": "ae_kmeans"},
        tuning="the autoencoder's trials; then biases 0.3, 0.4, 0.5 and 0.6 on usps and 0.4 on mnist-test, and 0.3 and 0.5 on 50 "
        "principal components of usps (1 seed each); chosen by AMI",
        deviations=[
            "features are an autoencoder's codes, centred and brought to length 1; the paper's are those of large networks",
            "of the 85 to 104 clusters found on usps and mnist-test the ten largest hold 67% to 80% of rows",
        ],
        schedule="until no edge is attractive",
    )

    bias: float = 0.5  # ours
    candidates: int = 16  # ours: neighbours kept of a node

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Codes of length 1, then the contraction."""
        code = run.parts["autoencoder"].embed(inputs.train)
        self.embedding = F.normalize(code - code.mean(0))
        contraction = Contraction(self.embedding.double().numpy(), self.bias, self.candidates)
        for _ in run.epochs(1, snapshots=False):
            while contraction.join() is not None:
                pass
            run.log(attraction_within=contraction.within / len(code) ** 2)
        self.labels = torch.from_numpy(np.unique(contraction.owners(), return_inverse=True)[1]).long()


class Contraction:
    """Dense greedy additive edge contraction of the complete graph on features [n, d], with costs ⟨f_i, f_j⟩ − bias.

    Each node keeps a list of its dearest attractive edges, drawn up over all nodes when it is made and again when all those
    in it are gone. Edges to nodes made later stand in the lists of these. So the dearest edge of all heads some list.
    within: the sum of the costs of all edges inside nodes, which the joins raise and multicut seeks to raise.
    """

    def __init__(self, features: np.ndarray, bias: float, candidates: int) -> None:
        n = len(features)
        # one more coordinate, that counts rows: the sums' cost is ⟨F_a, F_b⟩ − bias·|a|·|b|
        self.sums = np.concatenate([features, np.ones((n, 1))], axis=1)
        self.signs = np.append(np.ones(features.shape[1]), -bias)
        self.made = np.zeros(n, np.int64)  # by which join a place was filled; −1 where its node is gone
        self.parent = np.arange(n)
        self.candidates, self.within, self.joins = candidates, 0.0, 0
        self.lists: list[list[tuple[float, int, int]]] = [[] for _ in range(n)]
        self.heap: list[tuple[float, int, int]] = []
        for node in range(n):
            self._draw_up(node)
            self._offer(node)

    def costs(self, node: int) -> np.ndarray:
        """Costs [n] of the edges from a node to the others; −∞ to itself and to nodes that are gone."""
        found = self.sums @ (self.signs * self.sums[node])
        found[self.made < 0] = -np.inf
        found[node] = -np.inf
        return found

    def join(self) -> float | None:
        """Contracts the dearest edge and returns its cost; None where no edge is attractive."""
        while self.heap:
            cost, node, made = heapq.heappop(self.heap)
            if self.made[node] != made:
                continue
            other, when = self.lists[node][-1][1:]
            if self.made[other] != when:
                self._offer(node)
                continue
            self.joins += 1
            self.within -= cost
            self.sums[node] += self.sums[other]
            self.sums[other] = 0
            self.made[node], self.made[other] = self.joins, -1
            self.parent[other] = node
            self._draw_up(node)
            self._offer(node)
            return -cost
        return None

    def owners(self) -> np.ndarray:
        """The node [n] that each row has come to."""
        found = self.parent
        while (found != found[found]).any():
            found = found[found]
        return found

    def _draw_up(self, node: int) -> None:
        """Lists a node's dearest edges, the dearest last."""
        costs = self.costs(node)
        near = np.argpartition(-costs, min(self.candidates, len(costs) - 1))[: self.candidates]
        near = near[costs[near] > 0]
        near = near[np.argsort(costs[near], kind="stable")]
        self.lists[node] = [(float(costs[other]), int(other), int(self.made[other])) for other in near]

    def _offer(self, node: int) -> None:
        """Puts a node's dearest edge on the heap, if it has one."""
        edges = self.lists[node]
        full = len(edges) > 0
        while edges and self.made[edges[-1][1]] != edges[-1][2]:
            edges.pop()
        if full and not edges:
            self._draw_up(node)
            edges = self.lists[node]
        if edges:
            heapq.heappush(self.heap, (-edges[-1][0], node, int(self.made[node])))
