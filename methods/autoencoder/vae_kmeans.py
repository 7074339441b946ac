"""VAE + k-means: k-means on the mean codes of a fully connected variational autoencoder.

Kingma, Welling, "Auto-Encoding Variational Bayes", ICLR 2014. arXiv:1312.6114.
Idea: the code is a Gaussian that is pulled to one standard normal prior; k-means on its means. The baseline that VaDE is
compared with: the same widths, a prior without clusters.
Deviates: see the card.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from datasets.base import Inputs
from methods.base import Card, Method
from methods.parts.autoencoders import Autoencoder
from methods.parts.batches import autocast, batches, flat, through
from methods.parts.variational import Variational, gaussian_kl, misfit, sample_gaussian
from methods.run import Run


@dataclass
class VaeKmeans(Method):
    """A variational autoencoder; the harness clusters its means with k-means++ and 10 starts."""

    card = Card(
        title="VAE + k-means",
        authors="Kingma, Welling",
        year=2014,
        arxiv="1312.6114",
        told={"k"},
        own_clusters=False,
        tuned_on=set(),
        tuning="none",
        schedule="until the bound settles",
        deviations=["the widths are those of VaDE, not the paper's one hidden layer of 500; Adam, not Adagrad"],
        settings={
            "smoke": {"epochs": 2, "least_steps": 4},
            "quick": {"epochs": 20, "least_steps": 250},
            "paper": {"epochs": 500, "least_steps": 100000},
        },
    )

    widths: tuple = (500, 500, 2000)  # VaDE, section 4.2
    code: int = 10  # VaDE, section 4.2
    epochs: int = 30  # ours: the bound changes little after
    least_steps: int = 1200  # ours: small sets get more epochs
    batch_size: int = 256  # that of ae_kmeans
    lr: float = 0.001  # Adam's default
    precision: str = "bf16"  # ours; codes and likelihoods are float32

    def build(self, shape: tuple[int, ...], k: int | None) -> None:
        """Makes encoder and decoder; k plays no part in it."""
        self.network = Variational(Autoencoder([math.prod(shape), *self.widths, self.code]))

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Maximises the evidence lower bound."""
        x, image = inputs.train, inputs.modality == "image"
        self.build(tuple(x.shape[1:]), k)
        self.network.to(run.device).train()
        optimizer = torch.optim.Adam(self.network.parameters(), lr=self.lr, fused=True)
        epochs = max(self.epochs, math.ceil(self.least_steps / math.ceil(len(x) / self.batch_size)))
        for _ in run.epochs(epochs, keep={"network": self.network, "optimizer": optimizer}):
            for rows in batches(len(x), self.batch_size, run.generator):
                batch = flat(x[rows]).to(run.device)
                with autocast(self.precision, run.device):
                    mean, log_var = self.network(batch)
                    output = self.network.decoder(sample_gaussian(mean, log_var, run.generator))
                # Kingma and Welling, eq. 10 with one sample: −ELBO = −log p(x|z) + KL(q(z|x) ‖ N(0, 1))
                reconstruction = misfit(output, batch, image=image).mean()
                kl = gaussian_kl(mean, log_var).sum(1).mean()
                loss = reconstruction + kl
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                run.log(reconstruction=reconstruction, kl=kl)
        self.network.eval()

    def embed(self, x: Tensor) -> Tensor:
        """Means of q(z|x): [n, code] float32."""
        return through(self.network.encoder, x, flat)
