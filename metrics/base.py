"""What a metric is: a card with its declared properties, and a function of the evidence."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.ground.errors import UserError

if TYPE_CHECKING:
    from metrics.evidence import Evidence

NEEDS = {
    "contingency": "labels_true and labels_pred",
    "train_contingency": "labels_true_train and labels_pred_train",
    "clusters": "labels_pred",
    "labels_true": "labels_true",
    "labels_pred": "labels_pred",
    "embeddings": "embeddings",
    "soft": "soft",
    "split": "embeddings_train, labels_train, embeddings_test and labels_test",
    "neighbours": "embeddings_train, labels_train, embeddings_test and labels_test",
}
BETTER = ("higher", "lower", "neither")


@dataclass(frozen=True)
class Card:
    """What a metric declares of itself; the contract tests hold it to each word.

    title: its name in full. source: paper or formula. needs: words of NEEDS; without one of them the value is None.
    low, high: the ends of its range, None where unbounded. better: "higher", "lower" or "neither" (it only describes).
    symmetric: swapping labels_true and labels_pred changes nothing. perfect: its value where clusters equal classes and
    the embedding is the one-hot vector of the class, None where that does not fix it. random: what it is expected to be
    for a labelling drawn at random, None where that varies. headline: shown first. requires: optional packages.
    """

    title: str
    source: str
    needs: Collection[str]
    low: float | None
    high: float | None
    better: str
    symmetric: bool
    perfect: float | None
    random: float | None
    headline: bool = False
    description: str = ""
    requires: Sequence[str] = ()

    def __post_init__(self) -> None:
        strangers = sorted(set(self.needs) - set(NEEDS))
        if strangers or not self.needs:
            raise ValueError(f"needs={strangers or self.needs} is not allowed; it takes one or more of {', '.join(NEEDS)}")
        if self.better not in BETTER:
            raise ValueError(f"better={self.better!r} is not allowed; allowed: {', '.join(BETTER)}")


@dataclass(frozen=True)
class Metric:
    """A metric ready for use: `score` takes arrays, `measure` takes evidence that several metrics share.

    >>> import metrics
    >>> metrics.get("acc").score(labels_true=[0, 0, 1, 1], labels_pred=[1, 1, 0, 1])
    0.75
    """

    name: str
    card: Card
    compute: Callable[[Evidence], float | None]

    def measure(self, evidence: Evidence) -> float | None:
        """The value, or None where the evidence lacks what the metric needs or the metric is not defined on it."""
        if not all(evidence.has(need) for need in self.card.needs):
            return None
        value = self.compute(evidence)
        return None if value is None else float(value)

    def score(self, **arrays: Any) -> float:
        """The value of arrays given by name, as `Evidence` takes them; NaN where the metric is not defined on them."""
        from metrics.evidence import Evidence

        evidence = Evidence(**arrays)
        lacking = sorted({NEEDS[need] for need in self.card.needs if not evidence.has(need)})
        if lacking:
            given = ", ".join(sorted(arrays)) or "nothing"
            raise UserError(f"{self.name} was given {given}; it needs {' and '.join(lacking)}; pass them by name")
        value = self.measure(evidence)
        return math.nan if value is None else value
