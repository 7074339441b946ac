"""Clustering accuracy on test samples with the matching fitted on training samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics.base import Card
from metrics.parts.matching import match

if TYPE_CHECKING:
    from metrics.evidence import Evidence

card = Card(
    title="ACC with the matching fitted on train",
    source="Protocol v1, inductive track; Kuhn 1955",
    needs={"contingency", "train_contingency"},
    low=0.0,
    high=1.0,
    better="higher",
    symmetric=False,
    perfect=1.0,
    random=None,
    description="ACC on test picks its matching on test; this one cannot.",
)


def compute(evidence: Evidence) -> float:
    """(1/n) Σ_i [labels_true_i = m(labels_pred_i)], m the best one-to-one map of the training samples; 0: none, 1: all.

    labels_true, labels_pred: [n] integers, test. labels_true_train, labels_pred_train: [m] integers, in the same ids.
    A cluster that no training sample lies in, or that is matched to no class there, is wrong on test.

    >>> import metrics
    >>> metrics.get("acc_train_matching").score(labels_true=[0, 1, 1], labels_pred=[0, 0, 0],
    ...     labels_true_train=[0, 0, 1, 1], labels_pred_train=[0, 0, 0, 1])
    0.3333333333333333
    """
    train, test = evidence.train_contingency, evidence.contingency
    rows, columns = match(train)
    classes = dict(zip(train.clusters[columns].tolist(), train.classes[rows].tolist(), strict=True))
    return sum(count for true, cluster, count in test.triples() if classes.get(cluster) == true) / test.n
