"""The sighted side: outputs joined with labels. Every score can be computed again from outputs, without training."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import metrics
from benchmark.figures import FIGURES, draw
from benchmark.ground.files import canonical_json, load_array, sha256, sha256_array, write_text

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
    known = Known(Path(job["known"]["folder"]), job["known"]["keys"]) if job.get("known") else None
    outputs, names = Path(job["outputs"]), job["metrics"]
    result = score(outputs, truth=truth, split=split, fold=fold, track=job["track"], names=names, known=known)
    (Path(job["out"]) / "score.json").write_text(canonical_json(result, digits=9), encoding="utf-8")
    if job.get("figures"):
        try:
            (Path(job["out"]) / FIGURES).write_bytes(_drawn(job, outputs, truth, split))
        except Exception:  # what can't be drawn is no reason to lose the scores
            traceback.print_exc()
    return 0


def _drawn(job: dict[str, Any], outputs: Path, truth: np.ndarray | None, split: np.ndarray | None) -> bytes:
    path = outputs / "embedding.npy"
    return draw(
        **job["figures"],
        inputs=load_array(Path(job["inputs"]) / "x.npy", mmap=True),
        embedding=load_array(path, mmap=True) if path.is_file() else None,
        assign=(assign := load_array(outputs / "assign.npy")),
        truth=truth,
        rows=np.flatnonzero(shown(len(assign), split, job["track"])),
    )


@dataclass(frozen=True)
class Known:
    """Scores of embeddings that this machine has measured before: k-means on pixels has the same kNN for every seed.

    keys: of each metric that is a function of embedding, labels and their split alone, a hash of all but the embedding.
    """

    folder: Path
    keys: Mapping[str, str]

    def measure(self, name: str, evidence: metrics.Evidence, address: Callable[[], str]) -> float | None:
        """The score, from the folder where it is there. address: hash of the embedding, worked out when first needed."""
        if name not in self.keys or not evidence.has("split"):
            return metrics.get(name).measure(evidence)
        path = self.folder / f"{sha256(self.keys[name].encode(), address().encode())[:32]}.json"
        with contextlib.suppress(OSError, ValueError, KeyError):
            found = json.loads(path.read_text(encoding="utf-8"))
            evidence.notes.update(found["notes"])
            return found["value"]
        before = dict(evidence.notes)
        value = metrics.get(name).measure(evidence)
        notes = {key: note for key, note in evidence.notes.items() if key not in before}
        write_text(path, canonical_json({"value": value, "notes": notes}, digits=17))
        return value


def score(
    outputs: Path,
    *,
    truth: np.ndarray | None,
    split: np.ndarray | None,
    fold: np.ndarray | None,
    track: str,
    names: list[str],
    known: Known | None = None,
) -> dict[str, Any]:
    """All scores of one cell.

    truth: [n] int64, or None: then what needs labels is None. split: the official [n] int8 or None. fold: [n] int8 for kNN
    and probe. Rows are in prepared order. Clusters are scored on all rows in the transductive track, on test rows in the
    inductive one.
    """
    found = {
        name: load_array(outputs / f"{name}.npy")
        for name in ("assign", "embedding", "soft")
        if (outputs / f"{name}.npy").exists()
    }
    rows = shown(len(found["assign"]), split, track)
    train, test = (None, None) if fold is None else (fold == 0, fold == 1)
    evidence = metrics.Evidence(
        labels_true=_of(truth, rows),
        labels_pred=found["assign"][rows],
        soft=_of(found.get("soft"), rows),
        embeddings=_of(found.get("embedding"), rows),
        embeddings_train=_of(found.get("embedding"), train),
        embeddings_test=_of(found.get("embedding"), test),
        labels_train=_of(truth, train),
        labels_test=_of(truth, test),
        labels_true_train=_of(truth, train) if track == "inductive" else None,
        labels_pred_train=_of(found["assign"], train) if track == "inductive" else None,
    )
    address = cache(lambda: sha256_array(found["embedding"]))
    known = known or Known(outputs, {})
    scores = {name: known.measure(name, evidence, address) for name in names}
    snapshots, fitted = load_array(outputs / "snapshots.npy"), truth
    if truth is not None and track == "inductive" and split is not None:
        fitted, snapshots = truth[split == 0], snapshots[:, split[split != 1] == 0]
    return {
        "scores": scores,
        "notes": evidence.notes,
        "contingency": evidence.contingency.triples() if truth is not None else [],
        **over_time(snapshots, fitted),
    }


def shown(n: int, split: np.ndarray | None, track: str) -> np.ndarray:
    """[n] bool: the rows whose clusters are scored."""
    return np.ones(n, bool) if track == "transductive" or split is None else split == 1


def _of(array: np.ndarray | None, rows: np.ndarray | None) -> np.ndarray | None:
    return None if array is None or rows is None else array[rows]


def over_time(snapshots: np.ndarray, truth: np.ndarray | None) -> dict[str, Any]:
    """The scores of each snapshot ([s, n] int64), and the oracle gap: the best of them less the last."""
    if len(snapshots) < 2 or truth is None:
        return {"oracle_gap": {}, "snapshot_scores": {}}
    table = {
        name: [metrics.get(name).score(labels_true=truth, labels_pred=row) for row in snapshots] for name in SNAPSHOT_METRICS
    }
    return {"oracle_gap": {name: max(values) - values[-1] for name, values in table.items()}, "snapshot_scores": table}


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
