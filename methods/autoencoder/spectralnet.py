"""SpectralNet: a network that maps inputs to the eigenvectors of a graph Laplacian, one batch at a time.

Shaham, Stanton, Li, Nadler, Basri, Kluger, "SpectralNet: Spectral Clustering using Deep Neural Networks", ICLR 2018.
arXiv:1801.01587.
Idea: a Siamese net learns a distance in which nearest neighbours are close; its Gaussian affinities pull the outputs of a
second net together, which a last linear layer keeps orthonormal. k-means clusters the outputs.
Deviates: see the card.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import autocast, batches, flat, through
from methods.parts.kmeans import kmeans
from methods.parts.schedules import warm_cosine
from methods.run import Run


@dataclass
class SpectralNet(Method):
    """Siamese net and spectral net on the codes of a trained autoencoder."""

    card = Card(
        title="SpectralNet: Spectral Clustering using Deep Neural Networks",
        authors="Shaham, Stanton, Li, Nadler, Basri, Kluger",
        year=2018,
        arxiv="1801.01587",
        told={"k"},
        tuned_on={"mnist", "usps", "mnist-test"},
        tuning="ours, on mnist-test with 1 seed: 5 trials of the whole and 7 of the spectral net alone (gradients through "
        "the last layer or not, 3 neighbourhoods, 3 widths, 2 batch sizes, 2 precisions, 4 lengths); 1 on usps",
        parts={"autoencoder": "ae_kmeans"},
        schedule="each net until its validation loss has stopped falling, at most 400 epochs",
        deviations=[
            "gradients flow through the weights of the orthonormal last layer too, which come from a batch of their own as in "
            "the paper; with weights fixed in a step, as there, outputs shrank and the loss grew from 0.008 to 0.02 (mnist-test)",
            "the last layer is set once more at the end, on all rows, so that outputs of the fit are exactly orthonormal",
            "a positive and a negative pair of each row in each epoch, drawn anew; the learning rate follows a cosine",
            "the autoencoder has 10,000 rows in place of 70,000: exact eigenvectors of a graph on its codes of mnist-test give "
            "ACC 0.79 to 0.81 (15 and 5 neighbours, seed 0), so an approximation to them won't reach the paper's 0.971",
        ],
        settings={
            "smoke": {"siamese_epochs": 2, "spectral_epochs": 3, "widths": (64, 64, 32)},
            "quick": {"siamese_epochs": 10, "spectral_epochs": 20, "widths": (256, 256, 128)},
            "paper": {"siamese_epochs": 400, "spectral_epochs": 400},
        },
    )

    widths: tuple = (1024, 1024, 512)  # the authors' solver, for MNIST: hidden layers of both nets
    out: int = 10  # the authors' solver, for MNIST: the Siamese net's outputs
    pairs: int = 2  # the authors' solver, for MNIST: nearest neighbours that are positive pairs
    margin: float = 1.0  # the authors' solver
    siamese_epochs: int = 15  # ours
    siamese_batch: int = 128  # the authors' solver
    spectral_epochs: int = 40  # ours
    batch_size: int = 1024  # the authors' solver, for MNIST
    neighbours: int = 3  # nearest rows of a batch that have an affinity; the authors' solver, for MNIST
    scale_neighbour: int = 2  # the one whose distance is the scale; the authors' solver, for MNIST
    lr: float = 0.001  # the authors' solver
    starts: int = 10  # k-means restarts, as in protocol v1
    precision: str = "bf16"  # ours, in both nets' training passes; affinities, the last layer and losses are float32

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Algorithm 1 of the paper, after its Siamese net."""
        self.encoder = run.parts["autoencoder"].network.encoder.to(run.device)
        codes = self._codes(inputs.train)
        self.siamese = _layers([codes.shape[1], *self.widths, self.out]).to(run.device)
        self._train_siamese(codes, run)
        metric = through(self.siamese, codes, nn.Identity())
        body = nn.Sequential(_layers([codes.shape[1], *self.widths, k]), nn.Tanh())
        self.spectral = Orthonormal(body, k).to(run.device)
        self._train_spectral(codes, metric, run)
        self.centres, _ = kmeans(self._map(codes), k, run, starts=self.starts)

    def _train_siamese(self, codes: Tensor, run: Run) -> None:
        """Contrastive loss on pairs of nearest neighbours and of random rows."""
        near = nearest(codes, min(self.pairs, len(codes) - 1))
        optimiser = torch.optim.Adam(self.siamese.parameters(), lr=self.lr, fused=True)
        for _ in run.epochs(self.siamese_epochs, snapshots=False):
            self.siamese.train()
            for rows in batches(len(codes), self.siamese_batch, run.generator):
                pick = torch.randint(near.shape[1], (len(rows), 1), generator=run.generator)
                both = torch.cat([rows, near[rows].gather(1, pick)[:, 0]])
                with autocast(self.precision, run.device):
                    z, positive = self.siamese(codes[both].to(run.device)).float().chunk(2)
                loss = contrastive(z, positive, z.roll(1, 0), self.margin)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                run.log(siamese=loss)

    def _train_spectral(self, codes: Tensor, metric: Tensor, run: Run) -> None:
        """Steps on the affinities of one batch, orthonormalised on another."""
        optimiser = torch.optim.Adam(self.spectral.body.parameters(), lr=self.lr, fused=True)
        size = min(self.batch_size, len(codes))
        schedule = warm_cosine(optimiser, self.spectral_epochs * (len(codes) // size), 0)
        for _ in run.epochs(self.spectral_epochs, snapshots=False):
            for rows in batches(len(codes), self.batch_size, run.generator, drop_last=True):
                other = torch.randperm(len(codes), generator=run.generator)[:size]
                with autocast(self.precision, run.device):
                    both = self.spectral.body(codes[torch.cat([rows, other])].to(run.device))
                here, there = both.float().split([len(rows), size])
                y = here @ orthonormal_weight(there)
                weights = affinity(metric[rows].to(run.device), self.neighbours, self.scale_neighbour)
                loss = spectral_loss(weights, y)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                run.log(spectral=loss)
        self.spectral.orthonormalise(codes.to(run.device))

    def _map(self, codes: Tensor) -> Tensor:
        return through(self.spectral, codes, nn.Identity())

    def _codes(self, x: Tensor) -> Tensor:
        return through(self.encoder, x, flat)

    def embed(self, x: Tensor) -> Tensor:
        """The spectral net's outputs [n, k] float32: approximate eigenvectors, of length √n over the rows of the fit."""
        return self._map(self._codes(x))

    def assign(self, x: Tensor) -> Tensor:
        """The nearest centre among the outputs: [n] int64."""
        return torch.cdist(self.embed(x), self.centres.to(x.device)).argmin(1)


class Orthonormal(nn.Module):
    """A body, then a linear layer set by Cholesky so that outputs of the rows it was set on are orthonormal.

    body: [b, d] to [b, k].
    """

    def __init__(self, body: nn.Module, k: int) -> None:
        super().__init__()
        self.body = body
        self.register_buffer("weight", torch.eye(k))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs [b, k] float32 of x [b, d]."""
        return self.body(x) @ self.weight

    @torch.no_grad()
    def orthonormalise(self, x: Tensor) -> None:
        """Sets the last layer on rows x [m, d]."""
        self.weight.copy_(orthonormal_weight(self.body(x)))


def orthonormal_weight(y: Tensor) -> Tensor:
    """√m (L⁻¹)ᵀ [k, k], LLᵀ = ỸᵀỸ, of outputs Ỹ = y [m, k] (Algorithm 1). With it YᵀY / m = I."""
    wide = y.double()
    eye = torch.eye(y.shape[1], dtype=wide.dtype, device=y.device)
    factor = torch.linalg.cholesky(wide.T @ wide + 1e-9 * len(y) * eye)  # a start may have dependent outputs
    return (len(y) ** 0.5 * torch.linalg.solve_triangular(factor, eye, upper=False).T).to(y.dtype)


def contrastive(z: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """The mean over rows of ‖z − z⁺‖² and of max(margin − ‖z − z⁻‖, 0)², both kinds in equal parts."""
    apart = F.pairwise_distance(z, negative)
    return 0.5 * ((z - positive).square().sum(1).mean() + (margin - apart).clamp_min(0).square().mean())


def affinity(z: Tensor, neighbours: int, scale_neighbour: int) -> Tensor:
    """Symmetrised Gaussian affinities [m, m] of rows z [m, d] to their nearest neighbours.

    W_ij = exp(−‖z_i − z_j‖² / 2σ_i²) for the nearest neighbours j of i, else 0; σ_i is the distance to the neighbour of
    order `scale_neighbour`; then (W + Wᵀ)/2.
    """
    square = torch.cdist(z, z, compute_mode="donot_use_mm_for_euclid_dist").square().fill_diagonal_(torch.inf)
    near, index = square.topk(min(neighbours, len(z) - 1), largest=False)
    scale = near[:, min(scale_neighbour, near.shape[1]) - 1, None].clamp_min(1e-12)
    weights = torch.zeros_like(square).scatter_(1, index, (-near / (2 * scale)).exp())
    return (weights + weights.T) / 2


def spectral_loss(weights: Tensor, y: Tensor) -> Tensor:
    """1/m² Σ_ij W_ij ‖y_i − y_j‖² of outputs y [m, k]: as the Rayleigh quotient 2/m² tr(Yᵀ (D − W) Y)."""
    laplacian = torch.diag(weights.sum(1)) - weights
    return 2 / len(y) ** 2 * (y * (laplacian @ y)).sum()


def nearest(z: Tensor, count: int) -> Tensor:
    """Indices [n, count] int64 of the nearest other rows of z [n, d]."""
    search = NearestNeighbors(n_neighbors=count).fit(z.numpy())
    return torch.from_numpy(search.kneighbors(return_distance=False)).long()


def _layers(sizes: list[int]) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for inner, outer in pairwise(sizes):
        layers += [nn.Linear(inner, outer), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
