"""Scores that a cache remembers are those of their own metric."""

from __future__ import annotations

from typing import Any

import metrics
from benchmark.score import score
from datasets.labels import load_all
from datasets.prepare import fold_seed


def test_a_remembered_score_is_its_metrics_own(lab: Any) -> None:
    """Metrics that share a file, as the three of kNN do, are each remembered apart: a run gives what measuring anew gives."""
    record, again = (lab.run("pixels_kmeans", "digits")["scores"] for _ in range(2))
    prepared, cell = lab.bench.prepared("digits"), lab.cell("pixels_kmeans", "digits")
    truth, split, fold = load_all(prepared.labels, prepared.inputs, fold_seed("digits"))
    names = ["knn", "knn_200", "knn_5"]
    found = score(lab.bench.outputs(cell), truth=truth, split=split, fold=fold, track="transductive", names=names)["scores"]
    assert len(set(found.values())) == 3
    for name in names:
        assert abs(record[name] - found[name]) < 1e-6
    assert record == again
    assert set(record) == set(metrics.names())
