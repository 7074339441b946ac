"""The alternation of DEC and its heirs: a target from all rows, some steps towards it, a new target."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from methods.base import Method
from methods.parts.batches import autocast, batches, flat, through
from methods.parts.targets import Centres, sharpened
from methods.run import Run


class SelfTrained(Method):
    """A method with an `encoder` of flat inputs, a head of `Centres`, and `precision` as a field."""

    encoder: nn.Module
    head: Centres
    precision: str

    def embed(self, x: Tensor) -> Tensor:
        """Codes [n, code] float32."""
        return through(self.encoder, x, flat)

    def assign_soft(self, x: Tensor) -> Tensor:
        """q of every row: [n, k] float32."""
        with torch.no_grad():
            return self.head(self.embed(x).to(self.head.centres.device)).to(x.device)

    def assign(self, x: Tensor) -> Tensor:
        """The most probable cluster: [n] int64."""
        return self.assign_soft(x).argmax(1)

    def rounds(
        self, x: Tensor, run: Run, *, steps: int, interval: int, batch_size: int, tolerance: float
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields rows [b] int64 and their target p [b, k], `steps` times at most; the caller takes one step on each.

        Every `interval` steps the target is computed anew from q of all n rows. It ends early when fewer than `tolerance`
        of the rows have changed their cluster between two targets.
        """
        before, order = None, iter(())
        for _ in run.epochs(max(1, round(steps / interval))):
            with autocast(self.precision, run.device):
                target = sharpened(self.assign_soft(x))
            now = target.argmax(1)
            if before is not None and (now != before).float().mean() < tolerance:
                return
            before = now
            for _ in range(interval):
                rows = next(order, None)
                if rows is None:
                    order = batches(len(x), batch_size, run.generator)
                    rows = next(order)
                yield rows, target[rows]
