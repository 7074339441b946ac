"""What all methods on random views share: batches and views, one step after another, the schedule, checkpoints.

A method's file says what its paper adds: modules beside the backbone (`heads`), the loss of a batch (`loss`) and, where it
needs them, what happens before an epoch (`before_epoch`) and after a batch (`stepped`). Each epoch's curve has the loss and the
diagnostics of `parts/diagnostics.py`, which need no labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datasets.base import Inputs
from methods.base import Method
from methods.parts.batches import autocast, batches, pixels, through
from methods.parts.diagnostics import health
from methods.parts.encoders import encoder, image_shape
from methods.parts.optimizers import optimizer
from methods.parts.schedules import warm_cosine
from methods.parts.views import Views, views
from methods.run import Run

COLLAPSED = {"feature_std": 0.02, "projected_std": 0.2}  # below these; random weights give 0.16, trained ones 0.4 and more


@dataclass
class FromViews(Method):
    """A backbone trained on random views of its images; `embed` gives the backbone's output.

    Subclasses are dataclasses that set these fields anew where their paper says so.
    """

    epochs: int = 50
    batch: int = 256
    optimizer: str = "adamw"  # adamw, sgd or lars
    lr: float = 2e-3
    weight_decay: float = 1e-4
    warm_up: int = 3  # epochs
    accumulate: int = 1  # batches whose gradients one step of the optimiser takes together
    backbone: str = "small"  # as `encoder` names them
    least_crop: float = 0.5  # the smallest part of an image that a view shows
    precision: str = "bf16"  # bf16 or fp32, in the networks' training passes; losses are float32

    def heads(self, width: int) -> nn.Module | list[nn.Module]:
        """Makes the modules that are trained beside the backbone, whose output has `width` dimensions, and returns them."""
        raise NotImplementedError

    def loss(self, views: list[Tensor], rows: Tensor) -> Tensor:
        """The loss of one batch, a scalar. views: two of each image, [b, c, h, w] each; rows: the images' places [b] int64."""
        raise NotImplementedError

    def begin(self, x: Tensor, run: Run) -> None:
        """What a method sets up before its first epoch, with all images x [n, c, h, w] at hand: memories of rows, say.

        Modules made here are kept in checkpoints like all others, but not trained.
        """

    def before_epoch(self, epoch: int, x: Tensor, run: Run) -> None:
        """What a method does before an epoch; x: all images as `pixels` gives them, [n, c, h, w]."""

    def stepped(self, done: float) -> None:
        """What a method does after a batch has moved the networks; done: the part of training that is behind it, in 0..1."""

    def order(self, n: int, run: Run) -> Iterator[Tensor]:
        """The batches of rows [b] of one epoch: by default all n rows once, shuffled, a smaller last batch left out."""
        return batches(n, self.batch, run.generator, drop_last=True)

    def draw(self, images: Tensor, run: Run) -> list[Tensor]:
        """The views of a batch: by default two, as `look` draws them."""
        look = self.look(images.shape[1])
        return [look(images, run.generator), look(images, run.generator)]

    def look(self, channels: int) -> Views:
        """One preset for all grey images and one for all colour images, with crops of `least_crop` or more."""
        return replace(views(channels), scale=(self.least_crop, 1.0))

    def build(self, shape: tuple[int, ...], k: int | None) -> None:
        """Backbone and heads for images of `shape` [c, h, w], as they come to the network."""
        self.network = encoder(shape, self.backbone)
        made = self.heads(self.network.width)
        self._trained = [self.network, *(made if isinstance(made, list) else [made])]

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Trains for `epochs` passes over the images, smaller last batches left out."""
        self.build(image_shape(inputs.train), k)
        x = pixels(inputs.train).to(run.device)
        self.begin(x, run)
        modules = {name: value.to(run.device) for name, value in vars(self).items() if isinstance(value, nn.Module)}
        weights = [weight for module in self._trained for weight in module.parameters()]
        stepper = optimizer(self.optimizer, weights, self.lr, self.weight_decay)
        per_epoch = max(1, len(x) // self.batch)
        steps = self.epochs * per_epoch
        together = min(self.accumulate, per_epoch)
        schedule = warm_cosine(stepper, self.epochs * (per_epoch // together), self.warm_up * (per_epoch // together))
        for epoch in run.epochs(self.epochs, keep={**modules, "optimizer": stepper, "schedule": schedule}):
            self.before_epoch(epoch, x, run)
            for module in modules.values():
                module.train()
            stepper.zero_grad(set_to_none=True)
            for batch, rows in enumerate(self.order(len(x), run), 1):
                drawn = self.draw(x[rows], run)
                loss = self.loss(drawn, rows)
                (loss / together).backward()
                if batch % together == 0:
                    stepper.step()
                    schedule.step()
                    stepper.zero_grad(set_to_none=True)
                self.stepped((epoch * per_epoch + batch) / steps)
                run.log(loss=loss)
            run.log(**self.diagnosed(drawn))
        if any(run.curve.get(name, [1.0])[-1] < least for name, least in COLLAPSED.items()):
            run.flag("collapsed_features")

    def diagnosed(self, views: list[Tensor]) -> dict[str, float]:
        """Diagnostics of the last batch's first two views, [b, c, h, w] each, and of how far a projector's output spreads."""
        features = [through(self.network, view, torch.clone) for view in views[:2]]
        watched = getattr(self, "projector", None)
        projected = (
            {} if watched is None else {"projected_std": health(through(watched, features[0], torch.clone))["feature_std"]}
        )
        return {**health(*features), **projected}

    def outputs(self, network: nn.Module, x: Tensor) -> Tensor:
        """network(x) in the precision of training; what comes out is float32, as every loss is."""
        with autocast(self.precision, x.device):
            return network(x).float()

    def passes(self, network: nn.Module, views: list[Tensor]) -> list[Tensor]:
        """network(view) of views [b, c, h, w] of any sizes: a pass for each run of views of one size."""
        sized = [list(group) for _, group in groupby(views, key=lambda view: view.shape)]
        return [made for group in sized for made in self.outputs(network, torch.cat(group)).chunk(len(group))]

    def embed(self, x: Tensor) -> Tensor:
        """The backbone's output, not a projector's: [n, width] float32."""
        return through(self.network, x, pixels)


def cosine(p: Tensor, z: Tensor) -> Tensor:
    """Mean cosine similarity of rows p and z [b, d], a scalar."""
    return F.cosine_similarity(p.float(), z.float(), dim=1).mean()
