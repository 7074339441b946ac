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

    inputs: image [n, c, h, w] uint8 or vector [n, d] float32. labels: [n] int64 in 0..classes-1, or None where a user's
    own data has none. split: [n] int8, 0 train, 1 test, 2 fitted on but never scored (label −1), or None without an official
    split.
    """

    inputs: np.ndarray
    labels: np.ndarray | None
    split: np.ndarray | None = None


@dataclass(frozen=True)
class Card:
    """What the board says of a dataset.

    modality: image or vector. shape: of one sample, [c, h, w] or [d]. n, n_test: all samples, and those of the official
    test part (0: no split, transductive only); n_unlabelled: rows that are fitted on in the inductive track and never scored.
    classes: their number; class_counts: over all labelled samples, by label; test_counts: of the test part alone.
    duplicates: rows equal, byte for byte, to an earlier row of the canonical order; leaks: test rows equal to a train row.
    sha_inputs, sha_labels: SHA-256 of the canonical arrays (`ground.files.sha256_array`), the split folded into the labels';
    "" where no copy was at hand when the card was written: then the official checksums of `files` stand for the content.
    development: settings may be tuned on it, so it never ranks. standardise: one global mean and scale (vectors).
    bayes_acc: the best accuracy that any rule reaches, where the set is drawn from a known distribution.
    base, rule: of a derived set, the set it is drawn from and how; of one from outside, base is "" and rule says where its
    content comes from. pretrained: the model whose features these are. inductive_only: no transductive track.
    """

    title: str
    source: str
    licence: str
    modality: str
    shape: Sequence[int]
    n: int
    classes: int
    sha_inputs: str = ""
    sha_labels: str = ""
    n_test: int = 0
    n_unlabelled: int = 0
    class_counts: Sequence[int] = ()
    test_counts: Sequence[int] = ()
    class_names: Sequence[str] = ()
    development: bool = False
    hidden: bool = False
    standardise: bool = True
    duplicates: int = 0
    leaks: int = 0
    bayes_acc: float | None = None
    base: str = ""
    rule: str = ""
    pretrained: str = ""
    inductive_only: bool = False
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
        if self.inductive_only:
            return ("inductive",)
        return ("transductive", "inductive") if self.n_test else ("transductive",)

    @property
    def inputs_id(self) -> str:
        """What stands for the content of the inputs in fingerprints: their hash, or that of what determines them."""
        return self.sha_inputs or self._content("inputs")

    @property
    def labels_id(self) -> str:
        """What stands for the content of labels and split."""
        return self.sha_labels or self._content("labels")

    def _content(self, what: str) -> str:
        from benchmark.ground.files import canonical_json, sha256

        # Two sets may come from the same files, as the parts of EMNIST do.
        facts = [what, self.rule, dict(self.files), list(self.shape), self.n, self.n_test, self.classes]
        return sha256(canonical_json(facts).encode())
