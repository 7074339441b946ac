"""What a dataset is: a card, and `load`, which turns raw files into arrays. `Inputs` is all that a method sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class Inputs:
    """What a method may see. There is no label field, and no name.

    modality: "image" or "vector". train: image [n, c, h, w] uint8 at native size; vector [n, d] float32.
    """

    modality: str
    train: Tensor


@dataclass(frozen=True)
class Raw:
    """A dataset as its loader returns it, in its source's order; only the two doors see it.

    inputs: image [n, c, h, w] uint8 or vector [n, d] float32. labels: [n] int64 in 0..classes-1.
    split: [n] int8, 0 train and 1 test, or None without an official split.
    """

    inputs: np.ndarray
    labels: np.ndarray
    split: np.ndarray | None = None


@dataclass(frozen=True)
class Card:
    """What the board says of a dataset.

    modality: image or vector. shape: of one sample, [c, h, w] or [d]. n, n_test: all samples, and those of the official
    test part (0: no split, transductive only). classes: their number; class_counts: over all samples, by label.
    sha_inputs, sha_labels: SHA-256 of the canonical arrays (`ground.files.sha256_array`), split folded into the labels'.
    development: settings may be tuned on it, so it never ranks. standardise: one global mean and scale (vectors).
    """

    title: str
    source: str
    licence: str
    modality: str
    shape: Sequence[int]
    n: int
    classes: int
    sha_inputs: str
    sha_labels: str
    n_test: int = 0
    class_counts: Sequence[int] = ()
    class_names: Sequence[str] = ()
    development: bool = False
    hidden: bool = False
    standardise: bool = True
    requires: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    defects: Sequence[str] = ()

    @property
    def kind(self) -> str:
        """The class of inputs that settings may depend on: grey, colour or vector."""
        if self.modality == "vector":
            return "vector"
        return "colour" if self.shape[0] == 3 else "grey"

    @property
    def tracks(self) -> tuple[str, ...]:
        """The tracks this dataset allows."""
        return ("transductive", "inductive") if self.n_test else ("transductive",)
