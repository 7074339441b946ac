"""What a method is: a card, hyper-parameters, and fit, embed, assign. No label appears here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from methods.card import Card

if TYPE_CHECKING:
    from datasets.base import Inputs
    from methods.run import Run

__all__ = ["Card", "Method"]


@dataclass
class Method:
    """Base class of every method. Subclasses are dataclasses whose fields are the hyper-parameters.

    A method offers `embed`, `assign` or both (scores that need the other are null; clusters of a method without
    `assign` come from k-means on its embedding). One that can't treat new points sets `self.labels` ([n] int64,
    −1 noise) or `self.embedding` ([n, d] float32) in `fit`, and its card says `tracks={"transductive"}`.
    """

    card: ClassVar[Card]

    labels: Tensor | None = field(default=None, init=False, repr=False)
    embedding: Tensor | None = field(default=None, init=False, repr=False)

    def fit(self, inputs: Inputs, k: int | None, run: Run) -> None:
        """Trains on `inputs.train`. k is the number of clusters, None where the method finds it itself."""
        raise NotImplementedError(f"{type(self).__name__} defines no fit; write one")

    def build(self, shape: tuple[int, ...], k: int | None) -> None:
        """Makes the networks for inputs of `shape` ([c, h, w] or [d]); `restore` calls it before it loads weights.

        Needed only of a method that others use as a part; its `fit` calls it first.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no build, so it can't be a part of another method")

    def embed(self, x: Tensor) -> Tensor:
        """Embeddings of x: [n, d] float32."""
        raise NotImplementedError

    def assign(self, x: Tensor) -> Tensor:
        """Clusters of x: [n] int64 in 0..k-1, −1 for noise."""
        raise NotImplementedError

    def assign_soft(self, x: Tensor) -> Tensor:
        """Cluster probabilities of x: [n, k] float32, rows sum to 1."""
        raise NotImplementedError

    def offers(self, ability: str) -> bool:
        """Whether this method has `embed`, `assign` or `assign_soft` of its own."""
        return getattr(type(self), ability) is not getattr(Method, ability)

    def state(self) -> dict[str, Tensor]:
        """Everything learned: the tensors of every module, parameter and tensor held as an attribute, by dotted name."""
        found: dict[str, Tensor] = {}
        for name, value in vars(self).items():
            if isinstance(value, nn.Module):
                found.update({f"{name}.{key}": tensor for key, tensor in value.state_dict().items()})
            elif isinstance(value, Tensor) and name not in ("labels", "embedding"):
                found[name] = value.detach()
        return found

    def restore(self, state: dict[str, Tensor], shape: tuple[int, ...], k: int | None) -> None:
        """The inverse of `state`, for inputs of `shape`."""
        self.build(shape, k)
        for name, value in vars(self).items():
            if isinstance(value, nn.Module):
                head = f"{name}."
                value.load_state_dict({key[len(head) :]: t for key, t in state.items() if key.startswith(head)})
                value.eval()
        for name, tensor in state.items():
            if "." not in name:
                setattr(self, name, tensor)

    def parameters(self) -> int:
        """The number of trained scalars, over all modules held as attributes."""
        modules = [value for value in vars(self).values() if isinstance(value, nn.Module)]
        seen: dict[int, int] = {id(p): p.numel() for module in modules for p in module.parameters()}
        return sum(seen.values())


def to_device(value: Any, device: torch.device) -> Any:
    """Moves a tensor or a module to the device; leaves everything else alone."""
    return value.to(device) if isinstance(value, Tensor | nn.Module) else value
