"""What is known of one result, checked once; the expensive things metrics share are computed once each."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from benchmark.ground.errors import UserError
from metrics.parts.contingency import Contingency
from metrics.parts.neighbours import Neighbours, search

NEIGHBOURS = 200  # the most any metric of protocol v1 looks at


class Evidence:
    """The arrays that metrics measure, all optional, all by name. Metrics whose needs are not met give None.

    labels_true, labels_pred: [n] integers, any ids; −1 in labels_pred is noise and counts as one extra cluster.
    embeddings: [n, d] float, of the same samples. soft: [n, k] float, rows sum to 1, of the same samples.
    embeddings_train [m, d], labels_train [m], embeddings_test [t, d], labels_test [t]: for kNN and probe.
    labels_true_train, labels_pred_train: [m] integers, on which an inductive matching is fitted.
    contingency: in place of the two labellings, where only a record's table is left. seed: of whatever is drawn.
    notes: what a metric leaves for the record beside its value.

    >>> evidence = Evidence(labels_true=[0, 0, 1], labels_pred=[5, 5, 3])
    >>> evidence.contingency.triples()
    [[0, 5, 2], [1, 3, 1]]
    >>> evidence.has("embeddings")
    False
    """

    def __init__(
        self,
        *,
        labels_true: Any = None,
        labels_pred: Any = None,
        embeddings: Any = None,
        soft: Any = None,
        embeddings_train: Any = None,
        labels_train: Any = None,
        embeddings_test: Any = None,
        labels_test: Any = None,
        labels_true_train: Any = None,
        labels_pred_train: Any = None,
        contingency: Contingency | None = None,
        seed: int = 0,
    ) -> None:
        self.labels_true, self.labels_pred = _labels("labels_true", labels_true), _labels("labels_pred", labels_pred)
        self.embeddings, self.soft = _rows("embeddings", embeddings), _soft(soft)
        self.embeddings_train, self.labels_train = (
            _rows("embeddings_train", embeddings_train),
            _labels("labels_train", labels_train),
        )
        self.embeddings_test, self.labels_test = _rows("embeddings_test", embeddings_test), _labels("labels_test", labels_test)
        self.labels_true_train = _labels("labels_true_train", labels_true_train)
        self.labels_pred_train = _labels("labels_pred_train", labels_pred_train)
        self.seed = seed
        self.notes: dict[str, Any] = {}
        self._given = contingency
        self._same_length("labels_true", "labels_pred", "embeddings", "soft")
        self._same_length("embeddings_train", "labels_train")
        self._same_length("embeddings_test", "labels_test")
        self._same_length("labels_true_train", "labels_pred_train")
        if contingency is not None and self.labels_pred is not None:
            raise UserError("both a contingency and labels_pred were given; give one of them")
        if self.embeddings_train is not None and self.embeddings_test is not None:
            widths = self.embeddings_train.shape[1], self.embeddings_test.shape[1]
            if widths[0] != widths[1]:
                raise UserError(f"embeddings_train have {widths[0]} dimensions and embeddings_test {widths[1]}; they must agree")

    def has(self, need: str) -> bool:
        """Whether the evidence meets one of the needs a card may name."""
        if need in ("split", "neighbours"):
            return all(
                getattr(self, name) is not None for name in ("embeddings_train", "labels_train", "embeddings_test", "labels_test")
            )
        if need == "contingency":
            return self._given is not None or (self.labels_true is not None and self.labels_pred is not None)
        if need == "train_contingency":
            return self.labels_true_train is not None and self.labels_pred_train is not None
        if need == "clusters":
            return self._given is not None or self.labels_pred is not None
        return getattr(self, need) is not None

    @cached_property
    def contingency(self) -> Contingency:
        """The table of classes and clusters."""
        return self._given if self._given is not None else Contingency.of(self.labels_true, self.labels_pred)

    @cached_property
    def train_contingency(self) -> Contingency:
        """The same table of the samples the method was fitted on."""
        return Contingency.of(self.labels_true_train, self.labels_pred_train)

    @cached_property
    def clusters(self) -> dict[int, int]:
        """How many samples lie in each cluster that occurs, by id; noise is −1."""
        known = self.contingency if self.has("contingency") else Contingency.of(np.zeros_like(self.labels_pred), self.labels_pred)
        return dict(zip(known.clusters.tolist(), known.cluster_sizes.tolist(), strict=True))

    @cached_property
    def neighbours(self) -> Neighbours:
        """The 200 nearest training rows of each test row (all of them, where there are fewer)."""
        return search(self.embeddings_train, self.embeddings_test, NEIGHBOURS)

    def _same_length(self, *names: str) -> None:
        lengths = {name: len(getattr(self, name)) for name in names if getattr(self, name) is not None}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise UserError(f"the arrays differ in length: {told}; they must describe the same samples in the same order")


def _labels(name: str, value: Any) -> np.ndarray | None:
    """[n] int64, or None."""
    if value is None:
        return None
    array = np.asarray(value)
    if array.ndim != 1 or not len(array):
        raise UserError(f"{name} has the shape {list(array.shape)}; it must be [n] with at least one sample")
    if array.dtype.kind not in "iu":
        raise UserError(f"{name} holds {array.dtype}; labels must be integers; convert them, for example with astype('int64')")
    if array.dtype == np.uint64 and array.max() > np.iinfo(np.int64).max:
        raise UserError(f"{name} holds {array.max()}; labels must fit into int64; number them anew")
    return array.astype(np.int64, copy=False)


def _rows(name: str, value: Any) -> np.ndarray | None:
    """[n, d] float32, finite, or None."""
    if value is None:
        return None
    array = np.asarray(value)
    if array.ndim != 2 or not array.size:
        raise UserError(f"{name} has the shape {list(array.shape)}; it must be [n, d], neither 0; flatten other shapes first")
    if array.dtype.kind not in "fiu":
        raise UserError(f"{name} holds {array.dtype}; it must hold real numbers")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        bad = int((~np.isfinite(array).all(axis=1)).sum())
        raise UserError(f"{name} has NaN or infinity in {bad} of {len(array)} rows; a result with such rows cannot be scored")
    return array


def _soft(value: Any) -> np.ndarray | None:
    """[n, k] float32, rows that are distributions, or None."""
    array = _rows("soft", value)
    if array is None:
        return None
    off = float(np.abs(array.sum(axis=1, dtype=np.float64) - 1).max())
    if array.min() < -1e-6 or off > 1e-2:
        raise UserError(
            f"soft has a smallest entry of {array.min():.3g} and a row sum off 1 by {off:.3g}; rows must be distributions; "
            "pass probabilities, not logits"
        )
    return array
