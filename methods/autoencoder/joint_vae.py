"""JointVAE: a variational autoencoder with a Gaussian code for style and a categorical one for the cluster.

Dupont, "Learning Disentangled Joint Continuous and Discrete Representations", NeurIPS 2018. arXiv:1804.00104.
Idea: each code may carry a given amount of information, which grows while it trains. As the categorical code has an amount
of its own, the network can't leave it unused; what tells inputs apart most goes there.
Deviates: see the card.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import autocast, batches, flat, through
from methods.parts.variational import categorical_kl, gaussian_kl, misfit, sample_categorical, sample_gaussian
from methods.run import Run

SIDE = 32  # the authors' code: images of digits are brought to this side


@dataclass
class JointVAE(Method):
    """Joint continuous and discrete codes with capacities that grow."""

    card = Card(
        title="Learning Disentangled Joint Continuous and Discrete Representations",
        authors="Dupont",
        year=2018,
        arxiv="1804.00104",
        told={"k"},
        tuned_on={"mnist", "digits", "mnist-test"},
        tuning="3 runs of 400 to 500 steps on digits, 1 of 2,500 and 3 of 470 on mnist-test, seed 0: speed of the growth, γ, "
        "learning rate, and what counts towards the categorical capacity",
        schedule="100 epochs of 60,000 images, batch 64, capacities grow over 25,000 steps",
        deviations=[
            "what counts towards the categorical capacity is the divergence less that of the batch's mean, which is the mutual "
            "information; the paper's divergence alone is met by one category for all rows, where all our short runs ended",
            "γ is 10: at 30 the categorical code stayed empty (470 steps on mnist-test)",
            "vectors go through fully connected layers; the paper has images only",
            "capacities grow over all steps, of which there are a fiftieth; ACC on mnist-test has stood still for the last third",
        ],
        settings={
            "smoke": {"steps": 8, "batch_size": 32},
            "quick": {"steps": 400},
            "paper": {"steps": 93800, "lr": 0.0005, "growth": 0.27, "gamma": 30.0},
        },
    )

    continuous: int = 10  # the authors' code, MNIST
    capacity: float = 5.0  # the authors' code, MNIST: nats of either code; that of the categorical is log k at most
    growth: float = 1.0  # ours: the part of the steps over which capacities grow; the authors' code has 25,000 of 93,800
    gamma: float = 10.0  # ours: γ; the authors' code has 30
    temperature: float = 0.67  # the authors' code
    hidden: int = 256  # the authors' code
    steps: int = 2000  # ours
    batch_size: int = 64  # the authors' code
    lr: float = 0.001  # ours: twice the paper's, as the steps are fewer
    precision: str = "bf16"  # ours; codes and likelihoods are float32

    def build(self, shape: tuple[int, ...], k: int | None) -> None:
        """Makes encoder and decoder for inputs of `shape`."""
        self.network = Joint(shape, self.hidden, self.continuous, k)

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Minimises −E log p(x|z, c) + γ |KL_z − C_z| + γ |KL_c − C_c|."""
        x, image = inputs.train, inputs.modality == "image"
        self.build(tuple(x.shape[1:]), k)
        self.network.to(run.device).train()
        optimizer = torch.optim.Adam(self.network.parameters(), lr=self.lr, fused=True)
        step, per_epoch = 0, math.ceil(len(x) / self.batch_size)
        epochs = math.ceil(self.steps / per_epoch)
        for epoch in run.epochs(epochs, keep={"network": self.network, "optimizer": optimizer}):
            for step, rows in enumerate(batches(len(x), self.batch_size, run.generator), epoch * per_epoch):
                batch = prepared(x[rows]).to(run.device)
                with autocast(self.precision, run.device):
                    mean, log_var, log_q = self.network(batch)
                    z = sample_gaussian(mean, log_var, run.generator)
                    c = sample_categorical(log_q, self.temperature, run.generator)
                    output = self.network.decode(torch.cat([z, c], dim=1))
                reconstruction = misfit(output, batch, image=image).mean()
                style, cluster = gaussian_kl(mean, log_var).sum(1).mean(), information(log_q)
                allowed = self.capacity * min(1.0, step / max(1.0, self.growth * epochs * per_epoch))
                loss = reconstruction + self.gamma * shortfall(style, cluster, allowed, k)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                run.log(reconstruction=reconstruction, continuous=style, discrete=cluster)
        self.network.eval()

    def embed(self, x: Tensor) -> Tensor:
        """Means of q(z|x) beside q(c|x): [n, continuous + k] float32."""
        return through(self.network.codes, x, prepared)

    def assign_soft(self, x: Tensor) -> Tensor:
        """q(c|x): [n, k] float32."""
        return self.embed(x)[:, self.continuous :]

    def assign(self, x: Tensor) -> Tensor:
        """The most probable cluster: [n] int64."""
        return self.assign_soft(x).argmax(1)


def information(log_q: Tensor) -> Tensor:
    """What the categorical code tells of the input, KL(q(c|x) ‖ p(c)) − KL(q(c) ‖ p(c)) with q(c) the batch's mean: a scalar.

    log_q: [b, k].
    """
    return categorical_kl(log_q).mean() - categorical_kl(log_q.logsumexp(0, keepdim=True) - math.log(len(log_q)))[0]


def shortfall(continuous: Tensor, discrete: Tensor, allowed: float, k: int) -> Tensor:
    """|KL_z − C_z| + |KL_c − C_c|, a scalar: what γ weighs.

    No categorical code can carry more than log k.
    """
    return (continuous - allowed).abs() + (discrete - min(allowed, math.log(k))).abs()


def prepared(x: Tensor) -> Tensor:
    """Images in 0..1 at 32×32, [n, c, 32, 32]; vectors pass: float32."""
    if x.dtype != torch.uint8:
        return flat(x)
    x = x.float() / 255
    return x if x.shape[-2:] == (SIDE, SIDE) else F.interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False)


class Joint(nn.Module):
    """Encoder to both codes, and decoder: convolutions 4×4 with stride 2 for images, linear layers for vectors."""

    def __init__(self, shape: tuple[int, ...], hidden: int, continuous: int, k: int) -> None:
        super().__init__()
        self.continuous = continuous
        if len(shape) == 3:
            inner = [nn.Conv2d(shape[0], 32, 4, 2, 1), nn.Conv2d(32, 64, 4, 2, 1), nn.Conv2d(64, 64, 4, 2, 1)]
            outer = [nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ConvTranspose2d(32, 32, 4, 2, 1)]
            middle, last = [nn.Unflatten(1, (64, 4, 4))], nn.ConvTranspose2d(32, shape[0], 4, 2, 1)
            width = 64 * 4 * 4
        else:
            width, middle = 4 * hidden, []
            inner, outer, last = [nn.Linear(shape[0], width)], [], nn.Linear(width, shape[0])
        self.features = nn.Sequential(*_relu(inner), nn.Flatten(), nn.Linear(width, hidden), nn.ReLU())
        self.heads = nn.Linear(hidden, 2 * continuous + k)
        code = _relu([nn.Linear(continuous + k, hidden), nn.Linear(hidden, width)])
        self.decode = nn.Sequential(*code, *middle, *_relu(outer), last)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and log-variance [b, continuous] of q(z|x), and log q(c|x) [b, k], float32."""
        hidden = self.features(x)
        with torch.autocast(x.device.type, enabled=False):
            mean, log_var, logits = self.heads(hidden.float()).tensor_split([self.continuous, 2 * self.continuous], dim=1)
        return mean, log_var, logits.log_softmax(1)

    def codes(self, x: Tensor) -> Tensor:
        """Means beside q(c|x): [b, continuous + k]."""
        mean, _, log_q = self(x)
        return torch.cat([mean, log_q.exp()], dim=1)


def _relu(layers: list[nn.Module]) -> list[nn.Module]:
    return [part for layer in layers for part in (layer, nn.ReLU())]
