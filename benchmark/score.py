"""The sighted side: outputs joined with labels. Every score can be computed again from outputs, without training."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import metrics
from benchmark.ground.files import canonical_json, load_array

SNAPSHOT_METRICS = ("acc", "nmi", "ari")


def preload() -> None:
    """The heavy imports, done once before any child is forked."""
    for name in ("faiss", "scipy.optimize", "scipy.spatial", "scipy.special", "torch", "datasets.labels", "metrics.evidence"):
        importlib.import_module(name)


def main(job: dict[str, Any]) -> int:
    """Scores one cell's outputs; writes `score.json` into `job["out"]`."""
    import torch

    from datasets import labels as door

    torch.set_num_threads(job["threads"])
    truth, split, fold = door.load_all(Path(job["labels"]), Path(job["inputs"]), job["fold_seed"])
    result = score(Path(job["outputs"]), truth=truth, split=split, fold=fold, track=job["track"], names=job["metrics"])
    (Path(job["out"]) / "score.json").write_text(canonical_json(result, digits=9), encoding="utf-8")
    return 0


def score(
    outputs: Path, *, truth: np.ndarray, split: np.ndarray | None, fold: np.ndarray, track: str, names: list[str]
) -> dict[str, Any]:
    """All scores of one cell.

    truth: [n] int64. split: the official [n] int8 or None. fold: [n] int8 for kNN and probe. Rows are in prepared order.
    Clusters are scored on all rows in the transductive track, on test rows in the inductive one.
    """
    found = {
        name: load_array(outputs / f"{name}.npy")
        for name in ("assign", "embedding", "soft")
        if (outputs / f"{name}.npy").exists()
    }
    shown = np.ones(len(truth), bool) if track == "transductive" or split is None else split == 1
    evidence = metrics.Evidence(
        labels_true=truth[shown],
        labels_pred=found["assign"][shown],
        soft=found["soft"][shown] if "soft" in found else None,
        embeddings=found["embedding"][shown] if "embedding" in found else None,
        embeddings_train=found["embedding"][fold == 0] if "embedding" in found else None,
        embeddings_test=found["embedding"][fold == 1] if "embedding" in found else None,
        labels_train=truth[fold == 0],
        labels_test=truth[fold == 1],
        labels_true_train=truth[~shown] if track == "inductive" else None,
        labels_pred_train=found["assign"][~shown] if track == "inductive" else None,
    )
    scores = {name: metrics.get(name).measure(evidence) for name in names}
    snapshots = load_array(outputs / "snapshots.npy")
    fitted = truth if track == "transductive" or split is None else truth[split == 0]
    return {
        "scores": scores,
        "notes": evidence.notes,
        "contingency": evidence.contingency.triples(),
        **over_time(snapshots, fitted),
    }


def over_time(snapshots: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """The scores of each snapshot ([s, n] int64), and the oracle gap: the best of them less the last."""
    if len(snapshots) < 2:
        return {"oracle_gap": {}, "snapshot_scores": {}}
    table = {
        name: [metrics.get(name).score(labels_true=truth, labels_pred=row) for row in snapshots] for name in SNAPSHOT_METRICS
    }
    return {"oracle_gap": {name: max(values) - values[-1] for name, values in table.items()}, "snapshot_scores": table}


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
