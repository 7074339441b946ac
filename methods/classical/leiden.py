"""Leiden: modularity of a neighbour graph, raised by moving rows between communities, refining and merging these.

Traag, Waltman, van Eck, "From Louvain to Leiden: guaranteeing well-connected communities", Scientific Reports 2019.
arXiv:1810.08473.
Idea: rows are moved to the neighbouring community that gains most; each community is then refined into well-connected
parts, which become the nodes of a smaller graph, and so on. It finds the number of communities itself.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import flat
from methods.parts.manifold import nearest
from methods.run import Run


@dataclass
class Leiden(Method):
    """leidenalg's optimiser, on the graph of nearest neighbours of the inputs. Package under the GPL: the extra `gpl`."""

    card = Card(
        title="From Louvain to Leiden: guaranteeing well-connected communities",
        authors="Traag, Waltman, van Eck",
        year=2019,
        arxiv="1810.08473",
        told=set(),
        tracks={"transductive"},
        max_n=100000,
        requires=("igraph", "leidenalg"),
        tuning="none: γ is that of modularity, and isn't searched for k",
        schedule="iterations until the modularity no longer rises",
        deviations=[
            "the paper clusters given networks; here an unweighted graph of 15 nearest neighbours, either way, stands for one"
        ],
    )

    neighbours: int = 15  # the field's usual graph (scanpy)
    resolution: float = 1.0  # γ of modularity as Newman and Girvan define it
    iterations: int = 100  # at most

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Builds the graph, then iterates until no move raises the modularity."""
        import igraph
        import leidenalg

        x = flat(inputs.train)
        rows, _ = nearest(x, min(self.neighbours, len(x) - 1))
        pairs = torch.stack([torch.arange(len(x)).repeat_interleave(rows.shape[1]), rows.flatten()], dim=1)
        edges = pairs.sort(dim=1).values.unique(dim=0)  # joined where either is a neighbour of the other
        graph = igraph.Graph(n=len(x), edges=edges.tolist())
        partition = leidenalg.RBConfigurationVertexPartition(graph, resolution_parameter=self.resolution)
        self.labels = torch.arange(len(x))  # where no move helps, every row stays alone
        optimiser = leidenalg.Optimiser()
        optimiser.set_rng_seed(run.integer())
        for _ in run.epochs(self.iterations):
            if optimiser.optimise_partition(partition, n_iterations=1) <= 0:
                return
            self.labels = torch.tensor(partition.membership)
            # the paper's eq. 1: Σ_c (e_c − γ K_c² / 2m) / 2m
            run.log(modularity=partition.quality() / (2 * len(edges)))
