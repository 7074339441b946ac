"""What variational autoencoders share: divergences from the prior, samples that let gradients through, likelihoods.

Kingma, Welling, "Auto-Encoding Variational Bayes", ICLR 2014. arXiv:1312.6114.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.parts.autoencoders import Autoencoder


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) ‖ N(0, 1)) of each dimension: [b, d]; Kingma and Welling, appendix B."""
    return 0.5 * (mean.square() + log_var.exp() - log_var - 1)


def categorical_kl(log_q: Tensor) -> Tensor:
    """KL(q ‖ uniform) = log k − H(q) of each row of log q [b, k]: [b]."""
    k = torch.tensor(float(log_q.shape[1]), device=log_q.device)
    return (log_q.exp() * log_q).sum(1) + k.log()


def sample_gaussian(mean: Tensor, log_var: Tensor, generator: torch.Generator) -> Tensor:
    """mean + σ ε, as large as mean [b, d]: the reparameterisation trick."""
    noise = torch.randn(mean.shape, generator=generator).to(mean.device)
    return mean + (0.5 * log_var).exp() * noise


def sample_categorical(log_q: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Points [b, k] of the simplex, near a corner drawn by q (log q: [b, k]): Gumbel-softmax, arXiv:1611.01144 eq. 2."""
    uniform = torch.rand(log_q.shape, generator=generator).clamp_(1e-7, 1 - 1e-7).to(log_q.device)
    return ((log_q - (-uniform.log()).log()) / temperature).softmax(1)


def misfit(output: Tensor, x: Tensor, *, image: bool) -> Tensor:
    """−log p(x|z) up to a constant, summed over dimensions: [b].

    image: x in 0..1 are Bernoulli means and `output` logits; else Gaussian with variance ½, the squared error.
    """
    output, x = output.float().flatten(1), x.float().flatten(1)
    if image:
        return F.binary_cross_entropy_with_logits(output, x, reduction="none").sum(1)
    return (output - x).square().sum(1)


class Variational(nn.Module):
    """A fully connected autoencoder whose code is a Gaussian: the given encoder's code is its mean.

    certainty: the log-variance that every row starts with.
    """

    def __init__(self, autoencoder: Autoencoder, certainty: float = 0.0) -> None:
        super().__init__()
        self.encoder, self.decoder = autoencoder.encoder, autoencoder.decoder
        head = self.encoder.code
        self.log_var = nn.Linear(head.in_features, head.out_features)
        nn.init.normal_(self.log_var.weight, std=0.01 * head.in_features**-0.5)
        nn.init.constant_(self.log_var.bias, certainty)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance [b, code] float32 of q(z|x) for vectors x [b, d]."""
        hidden = self.encoder.body(x * self.encoder.scale)
        with torch.autocast(x.device.type, enabled=False):
            return self.encoder.code(hidden.float()), self.log_var(hidden.float())
