"""DeepDPM: finds the number of clusters by splits and merges of a mixture that a network learns to assign.

Ronen, Finder, Freifeld, "DeepDPM: Deep Clustering With an Unknown Number of Clusters", CVPR 2022. arXiv:2203.14309.
Idea: a clustering net imitates the responsibilities of a Bayesian Gaussian mixture, and every cluster has a net of its own
that cuts it in two. Now and then all cuts, or pairs of close clusters, are proposed as splits or merges, and are accepted by
the Metropolis–Hastings ratio of a Dirichlet process mixture.
Deviates: see the card.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import batches, flat, through
from methods.parts.niw import NIW
from methods.run import Run


@dataclass
class DeepDPM(Method):
    """Works on the codes of a trained autoencoder; told no number of clusters."""

    card = Card(
        title="DeepDPM: Deep Clustering With an Unknown Number of Clusters",
        authors="Ronen, Finder, Freifeld",
        year=2022,
        arxiv="2203.14309",
        told=set(),
        tuned_on={"mnist", "usps", "mnist-test"},
        tuning="ours: 1 trial on mnist-test (1 seed); lengths and learning rates on drawn Gaussians (5 settings)",
        parts={"autoencoder": "ae_kmeans"},
        schedule="500 epochs on fixed features; proposals every 30 epochs",
        deviations=[
            "features are the autoencoder's codes, by one shift and one scale, and stay as they are; the paper's numbers stand "
            "on features of N2D or alternate with an autoencoder",
            "splits and merges are proposed in turn every 400 steps in place of 30 epochs, with a larger learning rate",
            "new cutting nets start from random weights, their means from the best cut along the first principal axis",
            "no cluster of fewer than two rows is kept",
            "12 to 15 clusters on mnist-test, 16 to 22 on usps: by the mixture's own measure, log p(codes, partition), these "
            "beat the ten classes by 3,300 to 12,700 (two seeds each), so it is the Gaussians of codes, not the search",
        ],
        settings={
            "smoke": {"rounds": 3, "interval": 12, "refresh": 4, "freeze": 4},
            "quick": {"rounds": 12, "interval": 200},
            "paper": {"rounds": 16, "interval": 2000, "refresh": 80, "freeze": 400, "batch_size": 128},
        },
    )

    alpha: float = 10.0  # the authors' solver: the Dirichlet process' concentration
    kappa: float = 0.0001  # the authors' solver
    nu: int = 2  # the authors' solver: above the dimension
    spread: float = 0.005  # the authors' solver: prior covariance, in parts of a dimension's variance; there it is ψ, here ψ/ν
    hidden: int = 50  # the authors' solver: of all nets
    lr: float = 0.005  # ours; the authors' 0.0005 is for longer rounds
    sub_lr: float = 0.005  # the authors' solver
    rounds: int = 16  # ours: of a split and a merge each
    interval: int = 400  # steps between proposals; ours
    refresh: int = 40  # steps between M-steps, about an epoch of 10,000 rows; ours
    freeze: int = 120  # steps after a change in which the Gaussians stay; ours
    candidates: int = 3  # the authors' solver: merges are proposed with this many nearest clusters
    batch_size: int = 256  # ours

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Alternates training with splits, and training with merges."""
        self.encoder = run.parts["autoencoder"].network.encoder.to(run.device)
        codes = self.embed(inputs.train).to(run.device)
        self.shift, self.scale = codes.mean(0), codes.var(0, correction=0).mean().sqrt().clamp_min(1e-12)
        self.search(self._scaled(codes), run)

    def search(self, x: Tensor, run: Run) -> None:
        """Fits the mixture to rows x [n, d] of about unit variance."""
        d = x.shape[1]
        one = torch.ones((), dtype=torch.float64, device=x.device)
        psi = (self.nu + d) * self.spread * torch.eye(d, dtype=torch.float64, device=x.device)
        self.prior = NIW(x.double().mean(0), self.kappa * one, psi, (self.nu + d) * one)
        self.net = nn.Sequential(nn.Linear(d, self.hidden), nn.ReLU(), nn.Linear(self.hidden, 1)).to(run.device)
        self._set_gaussians(x, torch.ones(len(x), 1, device=x.device))
        self._set_halves(x, torch.zeros(len(x), dtype=torch.int64, device=x.device), [0])
        for step in run.epochs(2 * self.rounds):
            if step % 2:
                self._merge(x, run)
            else:
                self._split(x, run)
            self._train(x, run)
        self._drop_empty(x)

    def _train(self, x: Tensor, run: Run) -> None:
        """Trains the nets for `interval` steps; after `freeze` of them the Gaussians follow."""
        groups = [{"params": self.net.parameters(), "lr": self.lr}, {"params": self.halves.parameters(), "lr": self.sub_lr}]
        optimiser = torch.optim.Adam(groups, fused=True)
        order: Iterator[Tensor] = iter(())
        for step in range(self.interval):
            if step % self.refresh == 0 and step >= self.freeze:
                self._follow(x)
            rows = next(order, None)
            if rows is None:
                order = batches(len(x), self.batch_size, run.generator)
                rows = next(order)
            part = x[rows]
            log_r = self.net(part).log_softmax(1)
            target = (self.log_pi + log_normal(part, self.mean, self.precision)).log_softmax(1)
            loss = divergence(log_r, target)
            own = log_r.argmax(1)
            cut = isotropic(part, self.halves(part, own), self.half_means[own])
            optimiser.zero_grad()
            (loss + cut).backward()
            optimiser.step()
            run.log(clusters=loss, halves=cut, k=float(len(self.mean)))

    @torch.no_grad()
    def _follow(self, x: Tensor) -> None:
        """M-step: Gaussians from the clustering net, half means from the cutting nets, on all rows x [n, d]."""
        r = self.net(x).softmax(1)
        self._set_gaussians(x, r)
        own = r.argmax(1)
        soft = F.one_hot(own, r.shape[1]).unsqueeze(2) * self.halves(x, own).unsqueeze(1)
        self.half_means = _means(x, soft.flatten(1), self.half_means.flatten(0, 1)).unflatten(0, (-1, 2))

    def _split(self, x: Tensor, run: Run) -> None:
        """Proposes every cluster's cut."""
        own = self._drop_empty(x)
        with torch.no_grad():
            half = 2 * own + self.halves(x, own).argmax(1)
        k = int(own.max()) + 1
        whole, parts = F.one_hot(own, k), F.one_hot(half, 2 * k)
        log_ratio = self.log_split(x, whole, parts[:, ::2], parts[:, 1::2])
        accepted = self._accept(log_ratio, run).nonzero()[:, 0].tolist()
        if not accepted:
            return
        for extra, cluster in enumerate(accepted):
            own = torch.where(half == 2 * cluster + 1, k + extra, own)
        self._regroup(x, own, [*range(k), *accepted], [*accepted, *range(k, k + len(accepted))])

    def _merge(self, x: Tensor, run: Run) -> None:
        """Proposes to unite clusters with near ones, in random order; each takes part in one merge at most."""
        own = self._drop_empty(x)
        k = int(own.max()) + 1
        if k == 1:
            return
        far = torch.cdist(self.mean, self.mean).fill_diagonal_(torch.inf)
        near = far.topk(min(self.candidates, k - 1), largest=False).indices
        pairs = sorted({(min(i, j), max(i, j)) for i in range(k) for j in near[i].tolist()})
        first, second = torch.tensor(pairs, device=x.device).T
        one = F.one_hot(own, k)
        log_ratio = -self.log_split(x, one[:, first] + one[:, second], one[:, first], one[:, second])
        accepted = self._accept(log_ratio, run)
        goes, busy = list(range(k)), set()
        for index in torch.randperm(len(pairs), generator=run.generator).tolist():
            i, j = pairs[index]
            if accepted[index] and not busy & {i, j}:
                busy |= {i, j}
                goes[j] = i
        if not busy:
            return
        kept = sorted(set(goes))
        own = torch.tensor([kept.index(i) for i in goes], device=x.device)[own]
        self._regroup(x, own, kept, [kept.index(goes[i]) for i in sorted(busy) if goes[i] == i])

    def log_split(self, x: Tensor, whole: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """log H_s of cutting clusters `whole` into `first` and `second`, each [n, m] of 0 and 1; −∞ where a part is empty.

        H_s = α Γ(N₁) f(X₁; λ) Γ(N₂) f(X₂; λ) / (Γ(N) f(X; λ)); the ratio of the merge is its inverse.
        """
        log_f = [self.prior.log_marginal(x, rows) + rows.sum(0).double().clamp_min(1).lgamma() for rows in (first, second, whole)]
        log_h = torch.log(torch.tensor(self.alpha)) + log_f[0] + log_f[1] - log_f[2]
        return torch.where((first.sum(0) > 0) & (second.sum(0) > 0), log_h, -torch.inf)

    def _accept(self, log_ratio: Tensor, run: Run) -> Tensor:
        """True with probability min(1, H)."""
        drawn = torch.rand(len(log_ratio), generator=run.generator, dtype=torch.float64)
        return drawn.to(log_ratio.device).log() < log_ratio

    def _regroup(self, x: Tensor, own: Tensor, rows: list[int], changed: list[int]) -> None:
        """New clusters `own` [n]; the net's output row j is the former row rows[j]; `changed` clusters get new halves."""
        last = self.net[-1]
        fresh = nn.Linear(last.in_features, len(rows)).to(x.device)
        with torch.no_grad():
            fresh.weight.copy_(last.weight[rows])
            fresh.bias.copy_(last.bias[rows])
        self.net[-1] = fresh
        self._set_gaussians(x, F.one_hot(own, len(rows)))
        self._set_halves(x, own, rows, changed)

    def _set_gaussians(self, x: Tensor, weights: Tensor) -> None:
        """M-step: the most probable Gaussians under the prior, from responsibilities [n, k]."""
        mean, covariance = self.prior.posterior(x, weights).mode()
        factor = torch.linalg.cholesky(covariance)
        eye = torch.eye(x.shape[1], dtype=factor.dtype, device=x.device)
        self.mean = mean.float()
        self.precision = torch.linalg.solve_triangular(factor, eye, upper=False).float()
        self.log_pi = ((weights.double().sum(0) + 1e-6) / len(x)).log().float()

    def _set_halves(self, x: Tensor, own: Tensor, rows: list[int], changed: list[int] | None = None) -> None:
        """New cutting nets and half means for the `changed` clusters (all, if None), those of rows[j] for every other j."""
        changed = list(range(len(rows))) if changed is None else changed
        halves = Halves(len(rows), x.shape[1], self.hidden).to(x.device)
        means = x.new_zeros(len(rows), 2, x.shape[1])
        for j, row in enumerate(rows):
            if j in changed:
                means[j] = cut_in_two(x[own == j])
            else:
                halves.copy_from(self.halves, row, j)
                means[j] = self.half_means[row]
        self.halves, self.half_means = halves, means

    def _drop_empty(self, x: Tensor) -> Tensor:
        """Clusters [n] of the net, renumbered after those with fewer rows than two have gone."""
        with torch.no_grad():
            log_r = self.net(x)
        sizes = log_r.argmax(1).bincount(minlength=log_r.shape[1])
        rows = (sizes > 1).nonzero()[:, 0].tolist()
        own = log_r[:, rows].argmax(1)
        if len(rows) < log_r.shape[1]:
            self._regroup(x, own, rows, [])
        return own

    def _scaled(self, codes: Tensor) -> Tensor:
        return (codes - self.shift) / self.scale

    def embed(self, x: Tensor) -> Tensor:
        """The autoencoder's codes [n, code] float32, which this method does not change."""
        return through(self.encoder, x, flat)

    def assign_soft(self, x: Tensor) -> Tensor:
        """r, the clustering net's output: [n, clusters found] float32."""
        return through(self.net, self._scaled(self.embed(x).to(self.shift.device)), nn.Identity()).softmax(1).to(x.device)

    def assign(self, x: Tensor) -> Tensor:
        """The most probable cluster: [n] int64."""
        return self.assign_soft(x).argmax(1)


class Halves(nn.Module):
    """The cutting nets of k clusters, one hidden layer each: DeepDPM's subclustering nets."""

    def __init__(self, k: int, d: int, hidden: int) -> None:
        super().__init__()
        layers = [nn.Linear(d, hidden * k), nn.Linear(hidden, 2 * k)]  # their default start
        self.first = nn.Parameter(layers[0].weight.detach().view(k, hidden, d).transpose(1, 2).clone())
        self.first_bias = nn.Parameter(layers[0].bias.detach().view(k, 1, hidden).clone())
        self.second = nn.Parameter(layers[1].weight.detach().view(k, 2, hidden).transpose(1, 2).clone())
        self.second_bias = nn.Parameter(layers[1].bias.detach().view(k, 1, 2).clone())

    def forward(self, x: Tensor, own: Tensor) -> Tensor:
        """r̃ [b, 2]: the halves' probabilities of rows x [b, d] by the nets of their clusters own [b]."""
        every = x.expand(len(self.first), *x.shape)
        hidden = torch.baddbmm(self.first_bias, every, self.first).relu()
        logits = torch.baddbmm(self.second_bias, hidden, self.second)
        return logits[own, torch.arange(len(x), device=x.device)].softmax(1)

    @torch.no_grad()
    def copy_from(self, other: Halves, row: int, to: int) -> None:
        """Net `to` becomes the other's net `row`."""
        for mine, its in zip(self.parameters(), other.parameters(), strict=True):
            mine[to] = its[row]


def log_normal(x: Tensor, mean: Tensor, precision: Tensor) -> Tensor:
    """log N(x_i; μ_j, Σ_j) [n, k], up to a constant; precision: the inverse Cholesky factors [k, d, d] of Σ."""
    white = torch.einsum("kde,ke->kd", precision, mean)
    apart = torch.einsum("kde,ne->nkd", precision, x) - white
    return precision.diagonal(dim1=1, dim2=2).log().sum(1) - apart.square().sum(2) / 2


def divergence(log_r: Tensor, log_target: Tensor) -> Tensor:
    """L_cl of DeepDPM, mean over rows of KL(r ‖ r^E); both [b, k], as logarithms."""
    return (log_r.exp() * (log_r - log_target)).sum(1).mean()


def isotropic(x: Tensor, soft: Tensor, means: Tensor) -> Tensor:
    """L_sub of DeepDPM, mean over rows of Σ_j r̃_ij ‖x_i − μ̃_j‖².

    x: [b, d]; soft: r̃ [b, 2]; means: [b, 2, d] of each row's cluster.
    """
    return (soft * (x[:, None] - means).square().sum(2)).sum(1).mean()


def cut_in_two(x: Tensor) -> Tensor:
    """Means [2, d] of the best two parts of rows x [n, d] along their first principal axis."""
    centre = x.mean(0)
    if len(x) < 4:
        return torch.stack([centre, centre])
    _, vectors = torch.linalg.eigh((x - centre).double().T @ (x - centre).double())
    along, order = ((x - centre).double() @ vectors[:, -1]).sort()
    sums, sizes = along.cumsum(0)[:-1], torch.arange(1, len(x), device=x.device)
    # least squares: the cut with the largest between-part sum of squares
    between = sums.square() / sizes + (along.sum() - sums).square() / (len(x) - sizes)
    cut = int(between.argmax()) + 1
    return torch.stack([x[order[:cut]].mean(0), x[order[cut:]].mean(0)])


def _means(x: Tensor, weights: Tensor, before: Tensor) -> Tensor:
    """Weighted means [m, d] of rows x [n, d], weights [n, m]; `before` [m, d] where a column is empty."""
    total = weights.sum(0)[:, None]
    return torch.where(total > 1e-6, (weights.T @ x) / total.clamp_min(1e-6), before)
