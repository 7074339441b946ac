"""SLOGAN: a GAN whose latent vectors come from a mixture of Gaussians that is learned with it.

Hwang, Kim, Jung, Jang, Lee, Yoon, "Stein Latent Optimization for Generative Adversarial Networks", ICLR 2022. arXiv:2106.05319.
Idea: by Stein's lemma the generator's loss has gradients for the means, covariances and weights of the mixture that latent
vectors are drawn from. An encoder of generated images is drawn to the mean of the component an image came from and away
from the others'; it then tells the component of real images.
Deviates: see the card.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.batches import batches, pixels, through
from methods.parts.encoders import image_shape
from methods.run import Run


class Mixture(nn.Module):
    """q(z) = Σ_c π_c N(z; μ_c, Σ_c), with π the softmax of ρ. Its parameters get no gradients but those of `gradients`."""

    def __init__(self, k: int, d: int, spread: float, generator: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("means", spread * torch.randn(k, d, generator=generator))
        self.register_buffer("covariances", torch.eye(d).repeat(k, 1, 1))
        self.register_buffer("logits", torch.zeros(k))

    @property
    def weights(self) -> Tensor:
        """π: [k]."""
        return self.logits.softmax(0)

    def sample(self, b: int, generator: torch.Generator) -> Tensor:
        """Draws z: [b, d]."""
        component = torch.multinomial(self.weights.cpu(), b, replacement=True, generator=generator).to(self.means.device)
        noise = torch.randn(b, self.means.shape[1], generator=generator).to(self.means)
        root = torch.linalg.cholesky(self.covariances)
        return self.means[component] + (root[component] @ noise[:, :, None])[:, :, 0]

    def log_joint(self, z: Tensor) -> Tensor:
        """log π_c N(z; μ_c, Σ_c) but for a constant: [b, k]."""
        root = torch.linalg.cholesky(self.covariances)
        away = (z[:, None] - self.means).permute(1, 2, 0)
        white = torch.linalg.solve_triangular(root, away, upper=False)
        log_root = root.diagonal(dim1=1, dim2=2).log().sum(1)
        return self.logits.log_softmax(0) - log_root - white.square().sum(1).T / 2

    def gradients(self, z: Tensor, slope: Tensor, loss: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of E_q[ℓ(z)] for μ [k, d], Σ [k, d, d] and ρ [k] from draws z [b, d], ∇ℓ(z) [b, d] and ℓ(z) [b]."""
        share = self.log_joint(z).softmax(1)  # SLOGAN eq. 2: δ(z)_c π_c = q(c|z)
        mean = share.T @ slope / len(z)  # eq. 3
        away = (z[:, None] - self.means) * share[:, :, None]
        first = torch.linalg.solve(self.covariances, torch.einsum("bkd,be->kde", away, slope) / len(z))  # mean of S_z
        covariance = (first + first.mT) / 4  # eq. 5
        weight = ((share - self.weights) * loss[:, None]).mean(0)  # eq. 7: π_c (δ_c − 1) = q(c|z) − π_c
        return mean, covariance, weight

    @torch.no_grad()
    def step(self, gradients: tuple[Tensor, Tensor, Tensor], rate: float, boost: float) -> None:
        """Gradient descent; eq. 6 keeps the covariances positive definite. boost: the means' rate over the others'."""
        mean, covariance, weight = gradients
        change = -covariance + rate / 2 * covariance @ torch.linalg.solve(self.covariances, covariance)
        self.means -= boost * rate * mean
        self.covariances += rate * (change + change.mT) / 2
        self.logits -= rate * weight


def u2c(codes: Tensor, prototypes: Tensor, sharpness: float) -> Tensor:
    """−log(exp(s cos θ_ii) / mean_j exp(s cos θ_ij)), a loss for each of b rows (SLOGAN eq. 10).

    codes: [b, d], of generated inputs. prototypes: [b, d], the mean of the component of each.
    """
    cosine = sharpness * F.normalize(codes, dim=1) @ F.normalize(prototypes, dim=1).T
    return cosine.logsumexp(1) - math.log(len(codes)) - cosine.diagonal()


@dataclass
class SLOGAN(Method):
    """Stein latent optimisation for GANs."""

    card = Card(
        title="Stein Latent Optimization for Generative Adversarial Networks",
        authors="Hwang, Kim, Jung, Jang, Lee, Yoon",
        year=2022,
        arxiv="2106.05319",
        told={"k"},
        tuned_on={"mnist", "fashion-mnist", "cifar10", "usps"},
        tuning="2 trials on usps (1 seed): λ 4 for 3,000 steps, λ 1 for 2,000; and 6 of steps and learning rates on a toy. "
        "On usps ACC is 0.30 after 300 steps, 0.42 after 1,200, 0.44 after 3,000",
        schedule="100,000 steps in batches of 64",
        deviations=[
            "3,000 steps of small networks (16 and 32 channels)",
            "the discriminator has spectral normalisation and the hinge loss, not a Lipschitz penalty",
            "no margin in the contrastive loss, whose weight stays the same; no SimCLR loss on colour images",
            "the first means are drawn with variance 0.1; the authors' code takes 0.1 as their standard deviation",
        ],
        settings={
            "smoke": {"steps": 4, "batch_size": 16, "width": 4, "latent": 16},
            "quick": {"steps": 600},
            "paper": {"steps": 100000, "width": 64},
        },
    )

    latent: int = 64  # the authors' code for their toy
    spread: float = 0.316  # of the first means: the paper's N(0, 0.1), read as a variance
    width: int = 16  # channels after the first convolution; ours
    weight: float = 4.0  # λ; the authors' code for their toy
    sharpness: float = 4.0  # s; the authors' code
    gumbel: float = 0.01  # τ; SLOGAN, section 3.3
    steps: int = 3000  # ours
    batch_size: int = 64  # the authors' code
    lr: float = 0.0005  # of generator and encoder; ours, the authors take 0.0001 to 0.001
    faster: float = 1.0  # the discriminator's learning rate over it; ours, the authors take 4
    rate: float = 0.01  # γ, of the mixture; the authors' code for their toy
    boost: float = 10.0  # the authors' code: the means' rate over γ

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Trains discriminator, generator, encoder and mixture in turn."""
        x = inputs.train
        self.vectors = x.ndim == 2
        shape = image_shape(x)
        self.mean = x.float().mean(0) if self.vectors else torch.zeros(())
        self.scale = (x - self.mean).square().mean().sqrt().clamp_min(1e-12) if self.vectors else torch.ones(())
        self.encoder = reader(shape, self.width, self.latent, norm=False).to(run.device)
        self.mixture = Mixture(k, self.latent, self.spread, run.generator).to(run.device)
        generator = writer(shape, self.width, self.latent).to(run.device)
        critic = reader(shape, self.width, 1, norm=True).to(run.device)
        both = [*generator.parameters(), *self.encoder.parameters()]
        optimiser = torch.optim.Adam(both, lr=self.lr, betas=(0.0, 0.9), fused=True)
        opponent = torch.optim.Adam(critic.parameters(), lr=self.faster * self.lr, betas=(0.0, 0.9), fused=True)
        per_epoch = math.ceil(len(x) / self.batch_size)
        done = 0
        for _ in run.epochs(math.ceil(self.steps / per_epoch)):
            for rows in batches(len(x), self.batch_size, run.generator):
                if done == self.steps:
                    break
                left = 1 - done / self.steps  # the authors' code: all rates fall to 0
                for one, rate in ((optimiser, self.lr), (opponent, self.faster * self.lr)):
                    one.param_groups[0]["lr"] = left * rate
                done += 1
                real = self._scaled(x[rows].to(run.device))
                z = self.mixture.sample(len(rows), run.generator).requires_grad_()
                made = generator(z)
                doubt = F.relu(1 - critic(real)).mean() + F.relu(1 + critic(made.detach())).mean()
                opponent.zero_grad()
                doubt.backward()
                opponent.step()
                adversarial = -critic(made)[:, 0]  # eq. 8
                contrast = u2c(self.encoder(made), self._prototypes(z, run), self.sharpness)
                loss = adversarial + self.weight * contrast
                optimiser.zero_grad()
                loss.mean().backward()
                # the loss was averaged, eqs. 3 and 5 want each row's own gradient
                changes = self.mixture.gradients(z.detach(), z.grad * len(z), adversarial.detach())
                optimiser.step()
                self.mixture.step(changes, self.rate * left, self.boost)
                run.log(critic=doubt, contrast=contrast.mean(), largest=self.mixture.weights.max())
        self.encoder.eval()

    def _prototypes(self, z: Tensor, run: Run) -> Tensor:
        """μ_C of each z, C relaxed by Gumbel-softmax (below eq. 9): [b, d]."""
        joint = self.mixture.log_joint(z)
        uniform = torch.rand(joint.shape, generator=run.generator).clamp(1e-9, 1 - 1e-7).to(z.device)
        noisy = joint - torch.log(-torch.log(uniform))
        return (noisy / self.gumbel).softmax(1) @ self.mixture.means

    def _scaled(self, x: Tensor) -> Tensor:
        return (x - self.mean.to(x.device)) / self.scale.to(x.device) if self.vectors else 2 * pixels(x) - 1

    def embed(self, x: Tensor) -> Tensor:
        """Codes [n, latent] float32."""
        return through(self.encoder, x, self._scaled)

    def assign_soft(self, x: Tensor) -> Tensor:
        """p(c|x) ∝ π_c exp(s cos(E(x), μ_c)), since the cosine stands for log p(c|x)/p(c): [n, k] float32."""
        means = F.normalize(self.mixture.means.to(x.device), dim=1)
        cosine = F.normalize(self.embed(x), dim=1) @ means.T
        return (self.sharpness * cosine + self.mixture.weights.to(x.device).log()).softmax(1)

    def assign(self, x: Tensor) -> Tensor:
        """The most probable component: [n] int64."""
        return self.assign_soft(x).argmax(1)


def reader(shape: tuple[int, ...], width: int, out: int, *, norm: bool) -> nn.Sequential:
    """A discriminator (norm: with spectral normalisation) or an encoder: inputs of `shape` to [b, out]."""
    wrap = spectral_norm if norm else (lambda layer: layer)
    if len(shape) == 1:
        hidden = 4 * width
        layers = [wrap(nn.Linear(shape[0], hidden)), nn.LeakyReLU(0.2), wrap(nn.Linear(hidden, hidden)), nn.LeakyReLU(0.2)]
        return nn.Sequential(*layers, wrap(nn.Linear(hidden, out)))
    c, h, w = shape
    first, second = nn.Conv2d(c, width, 4, 2, 1), nn.Conv2d(width, 2 * width, 4, 2, 1)
    layers = [wrap(first), nn.LeakyReLU(0.2), wrap(second), nn.LeakyReLU(0.2), nn.Flatten()]
    return nn.Sequential(*layers, wrap(nn.Linear(2 * width * (h // 4) * (w // 4), out)))


def writer(shape: tuple[int, ...], width: int, latent: int) -> nn.Sequential:
    """A generator: z [b, latent] to inputs of `shape`; images come in −1..1."""
    if len(shape) == 1:
        hidden = 4 * width
        layers = []
        for inner in (latent, hidden):
            layers += [nn.Linear(inner, hidden), nn.BatchNorm1d(hidden), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(hidden, shape[0]))
    c, h, w = shape
    side = (2 * width, h // 4, w // 4)
    return nn.Sequential(
        nn.Linear(latent, math.prod(side)),
        nn.BatchNorm1d(math.prod(side)),
        nn.ReLU(),
        nn.Unflatten(1, side),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, c, 4, 2, 1),
        nn.Tanh(),
    )
