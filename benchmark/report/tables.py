"""From records to tables: one row a record (`runs.csv`), one row a group of seeds (`summary.csv`)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from scipy import stats

import datasets
import metrics
from benchmark.ground.errors import UserError
from benchmark.plan import from_record
from benchmark.provenance import score_fingerprints
from benchmark.store import Results

KEYS = ["dataset", "method", "variant", "track", "budget"]
COSTS = ["wall_seconds", "cpu_seconds", "total_seconds", "peak_mib", "parameters"]


def freshness(record: dict[str, Any]) -> str:
    """`fresh`, `stale` where the fit or a score would be another today, `unknown` where method or dataset are not here."""
    if record["state"] == "not_applicable":
        return "fresh"
    try:
        today = from_record(record).fit_fingerprint
        labels = datasets.card(record["dataset"]).labels_id
    except UserError:
        return "unknown"
    now, then = score_fingerprints(today, labels), record.get("score_fingerprints", {})
    scores_hold = all(now[name] == then[name] for name in now.keys() & then.keys())
    return "fresh" if today == record["fit_fingerprint"] and scores_hold else "stale"


def runs(results: Results, keys: Collection[str] | None = None) -> pd.DataFrame:
    """One row a record, in the order of keys: what it is, its state, every score, its cost. keys: only these."""
    names = metrics.names()
    rows = []
    every = dict(results.records())
    fits = {record["fit_fingerprint"]: record for record in every.values()}
    for key, record in every.items():
        if keys is not None and key not in keys:
            continue
        if record.get("data"):
            datasets.know(record["dataset"], record["data"])
        gap = record.get("oracle_gap", {})
        rows.append(
            {
                **{name: record[name] for name in KEYS},
                "seed": record["seed"],
                "state": record["state"],
                "fresh": freshness(record),
                "flags": " ".join(record["flags"]),
                "told": " ".join(record["told"]),
                "k_used": record["k_used"],
                **{name: record["scores"].get(name) for name in names},
                "oracle_gap_acc": gap.get("acc"),
                **{name: record["cost"].get(name) for name in COSTS},
                "total_cpu_seconds": total_cpu(record, fits),
                "attempts": len(record.get("attempts", [])),
                "device": record["environment"]["device"],
            }
        )
    columns = [*KEYS, "seed", "state", "fresh", "flags", "told", "k_used", *names, "oracle_gap_acc"]
    columns += [*COSTS, "total_cpu_seconds", "attempts", "device"]
    return pd.DataFrame(rows, columns=columns)


def total_cpu(record: dict[str, Any], fits: dict[str, dict[str, Any]]) -> float | None:
    """Processor seconds of a cell and of the parts it stands on; None where the record of one is not here."""
    own = record["cost"].get("cpu_seconds")
    parts = [total_cpu(fits[part], fits) if part in fits else None for part in record.get("parts", [])]
    return None if own is None or None in parts else math.fsum([own, *(part for part in parts if part is not None)])


@dataclass(frozen=True)
class Group:
    """All seeds of one (dataset, method, variant, track, budget). rows: their part of `runs`."""

    rows: pd.DataFrame

    @cached_property
    def ok(self) -> pd.DataFrame:
        """The scored rows."""
        return self.rows[self.rows.state == "ok"]

    @property
    def expected(self) -> int:
        """Seeds 0..highest are owed."""
        return int(self.rows.seed.max()) + 1

    @property
    def states(self) -> list[str]:
        """The states that are not ok."""
        return sorted(set(self.rows.state) - {"ok"})

    @property
    def stale(self) -> bool:
        """Whether any scored row is no longer what would be measured today."""
        return bool((self.ok.fresh != "fresh").any())

    def values(self, name: str) -> list[float]:
        """A column over the scored seeds, blanks left out."""
        return [float(value) for value in self.ok[name] if value is not None and not pd.isna(value)]

    def mean(self, name: str) -> float | None:
        """The mean over scored seeds; None where there is none."""
        values = self.values(name)
        return math.fsum(values) / len(values) if values else None

    def std(self, name: str) -> float | None:
        """The sample standard deviation over scored seeds; None below two."""
        values = self.values(name)
        if len(values) < 2:
            return None
        mean = math.fsum(values) / len(values)
        return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))

    def interval(self, name: str) -> tuple[float, float] | None:
        """Student's t interval at 95% of the mean over seeds; None below three."""
        n, mean, std = len(self.values(name)), self.mean(name), self.std(name)
        if n < 3 or mean is None or std is None:
            return None
        half = float(stats.t.ppf(0.975, n - 1)) * std / math.sqrt(n)
        return mean - half, mean + half


def groups(table: pd.DataFrame) -> dict[tuple[str, ...], Group]:
    """(dataset, method, variant, track, budget) -> its seeds."""
    return {tuple(key): Group(rows.sort_values("seed")) for key, rows in table.groupby(KEYS, sort=True)}


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row a group of seeds: how many are ok of how many owed, mean and standard deviation of every score and cost."""
    columns = [*metrics.names(), "oracle_gap_acc", *COSTS, "total_cpu_seconds"]
    rows = []
    for key, group in groups(table).items():
        row: dict[str, Any] = dict(zip(KEYS, key, strict=True))
        row.update(seeds_ok=len(group.ok), seeds=group.expected, stale=group.stale, states=" ".join(group.states))
        for name in columns:
            row[f"{name}_mean"], row[f"{name}_std"] = group.mean(name), group.std(name)
        rows.append(row)
    heads = [*KEYS, "seeds_ok", "seeds", "stale", "states", *[f"{name}_{what}" for name in columns for what in ("mean", "std")]]
    return pd.DataFrame(rows, columns=heads)


def csv(table: pd.DataFrame) -> str:
    """A table as CSV text, six significant digits."""
    return table.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def agreement(ours: Iterable[tuple[str, dict[str, Any]]], committed: Results, tolerance: float = 0.02) -> pd.DataFrame:
    """How records agree with the committed ones: exactly, within tolerance, differs, or no committed record.

    exactly: every score is the same to six digits. within tolerance: ACC, NMI, ARI, kNN and probe within `tolerance`.
    """
    rows = []
    for key, record in ours:
        other = committed.read(key)
        if other is None:
            verdict, largest = "not committed", None
        elif record["state"] != other["state"]:
            verdict, largest = "differs", None
        else:
            shared = [name for name in record["scores"] if name in other["scores"]]
            verdict = "exactly" if all(record["scores"][n] == other["scores"][n] for n in shared) else ""
            gaps = [
                abs(record["scores"][n] - other["scores"][n])
                for n in ("acc", "nmi", "ari", "knn", "linear_probe")
                if record["scores"].get(n) is not None and other["scores"].get(n) is not None
            ]
            largest = max(gaps, default=0.0)
            verdict = verdict or ("within tolerance" if largest <= tolerance else "differs")
        rows.append({"cell": key, "agrees": verdict, "largest_difference": largest})
    return pd.DataFrame(rows, columns=["cell", "agrees", "largest_difference"])
