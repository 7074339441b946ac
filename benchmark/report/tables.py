"""From records to tables: one row a record (`runs.csv`), one row a group of seeds (`summary.csv`)."""

from __future__ import annotations

import contextlib
import csv as csv_module
import gc
import io
import math
import os
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd

import datasets
import metrics
from benchmark.report import statistics
from benchmark.report.fresh import Today
from benchmark.report.statistics import moments
from benchmark.store import Results, read_record, unpack

KEYS = ["dataset", "method", "variant", "track", "budget"]
STRETCH = 4000  # records that are read at once by one process
COSTS = ["wall_seconds", "cpu_seconds", "total_seconds", "peak_mib", "parameters"]


def freshness(record: dict[str, Any]) -> str:
    """`fresh`, `stale` where the fit or a score would be another today, `unknown` where method or dataset are not here."""
    return Today().freshness(record)


def runs(results: Results, keys: Collection[str] | None = None) -> pd.DataFrame:
    """One row a record, in the order of keys: what it is, its state, every score, its cost. keys: only these."""
    files, rows = list(results.files()), []
    cpu: dict[str, tuple[float | None, list[str]]] = {}
    own: list[tuple[float | None, list[str]]] = []
    for part in _in_parts(files, keys):
        for dataset, facts in part.outside.items():
            datasets.know(dataset, facts)
        cpu |= part.cpu
        rows += part.rows
        own += [cpu[fit] for fit in part.fits]
    columns = [
        *KEYS,
        "seed",
        "state",
        "fresh",
        "stale_scores",
        "flags",
        "told",
        "k_used",
        *metrics.names(),
        "oracle_gap_acc",
        *COSTS,
        "attempts",
        "device",
        "url",
    ]
    table = pd.DataFrame(rows, columns=columns)
    totals = pd.DataFrame({"total": [total_cpu(*paid, cpu) for paid in own]})["total"]
    table.insert(columns.index("attempts"), "total_cpu_seconds", totals)
    return table


@dataclass
class _Part:
    """What a stretch of record files holds.

    rows, fits: of those asked for. cpu: fit -> processor seconds and parts, of all. outside: cards of sets from outside.
    """

    rows: list[tuple[Any, ...]]
    fits: list[str]
    cpu: dict[str, tuple[float | None, list[str]]]
    outside: dict[str, dict[str, Any]]


def _in_parts(files: list[tuple[str, str]], keys: Collection[str] | None) -> Iterator[_Part]:
    """The records of many files, read by all cores where they are many and this process may be copied; of few, here."""
    stretches = [files[start : start + STRETCH] for start in range(0, len(files), STRETCH)]
    workers = min(len(stretches), len(os.sched_getaffinity(0))) if sys.platform == "linux" else 1
    if workers < 2 or threading.active_count() > 1:  # a copy has none of the other threads, but their locks
        yield from (_part(stretch, keys) for stretch in stretches)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        yield from pool.map(_part, stretches, repeat(keys))


def _part(files: list[tuple[str, str]], keys: Collection[str] | None) -> _Part:
    names, today, part = metrics.names(), Today(), _Part([], [], {}, {})
    with _no_gc():
        for key, path in files:
            record = read_record(path, table=False)
            cost = record["cost"]
            part.cpu[record["fit_fingerprint"]] = (cost.get("cpu_seconds"), record.get("parts", []))
            if keys is not None and key not in keys:
                continue
            if record.get("data"):
                part.outside[record["dataset"]] = record["data"]
                datasets.know(record["dataset"], record["data"])
            part.fits.append(record["fit_fingerprint"])
            fresh, changed = today.look(record)
            row = (
                *[sys.intern(record[name]) for name in KEYS],
                record["seed"],
                sys.intern(record["state"]),
                fresh,
                sys.intern(" ".join(changed)),
                sys.intern(" ".join(record["flags"])),
                sys.intern(" ".join(record["told"])),
                record["k_used"],
                *map(record["scores"].get, names),
                record.get("oracle_gap", {}).get("acc"),
                *map(cost.get, COSTS),
                len(record.get("attempts", [])),
                sys.intern(record["environment"]["device"]),
                sys.intern(record["submitted"].get("url", "") if record.get("submitted") else ""),
            )
            part.rows.append(row)
    return part


@contextlib.contextmanager
def _no_gc() -> Iterator[None]:
    """Garbage is not searched for meanwhile: records hold no cycles, and many of them make each search long."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def total_cpu(
    own: float | None, parts: Iterable[str], known: Mapping[str, tuple[float | None, list[str]]], above: tuple[str, ...] = ()
) -> float | None:
    """Processor seconds of a cell and of the parts it stands on, `known` by fit; None where the record of one is not here."""
    paid = [own]
    for part in parts:
        paid.append(total_cpu(*known[part], known, (*above, part)) if part in known and part not in above else None)
    return None if None in paid else math.fsum(paid)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Group:
    """All seeds of one (dataset, method, variant, track, budget).

    columns: those of `runs`, as lists that all groups share. rows: the places of this group's seeds in them, by seed.
    """

    columns: Mapping[str, list[Any]]
    rows: list[int]

    @cached_property
    def ok(self) -> list[int]:
        """The places of the scored rows."""
        state = self.columns["state"]
        return [row for row in self.rows if state[row] == "ok"]

    def words(self, name: str) -> list[str]:
        """A column of words over the scored seeds."""
        column = self.columns[name]
        return [column[row] for row in self.ok]

    @property
    def expected(self) -> int:
        """Seeds 0..highest are owed."""
        return int(self.columns["seed"][self.rows[-1]]) + 1

    @property
    def states(self) -> list[str]:
        """The states that are not ok."""
        state = self.columns["state"]
        return sorted({state[row] for row in self.rows} - {"ok"})

    @property
    def stale(self) -> bool:
        """Whether any scored row is no longer what would be measured today."""
        return bool(self._staleness)

    def values(self, name: str) -> list[float]:
        """A column over the scored seeds, blanks left out."""
        column = self.columns[name]
        found = [column[row] for row in self.ok]
        return [float(value) for value in found if value is not None and value == value]  # NaN differs from itself

    def mean(self, name: str) -> float | None:
        """The mean over scored seeds; None where there is none."""
        return moments(self.values(name))[0]

    def std(self, name: str) -> float | None:
        """The sample standard deviation over scored seeds; None below two."""
        return moments(self.values(name))[1]

    def interval(self, name: str) -> tuple[float, float] | None:
        """Student's t interval at 95% of the mean over seeds; None below three."""
        found = statistics.interval(self.values(name))
        return None if found is None or found.low is None or found.high is None else (found.low, found.high)

    def by_seed(self, name: str) -> dict[int, float]:
        """seed -> a column's value, of the scored seeds that have one."""
        column, seed = self.columns[name], self.columns["seed"]
        return {seed[row]: float(value) for row in self.ok if (value := column[row]) is not None and value == value}

    @property
    def self_reported(self) -> bool:
        """Whether any seed was handed in, not fitted here."""
        return any("self_reported" in flags.split() for flags in self.words("flags"))

    @property
    def complete(self) -> bool:
        """Whether every seed that is owed was scored."""
        return len(self.ok) == self.expected

    def stale_in(self, name: str) -> bool:
        """Whether a score is no longer what would be measured today: its fit isn't, or the metric has changed."""
        return any(not changed or name in changed.split() for changed in self._staleness)

    @property
    def stale_scores(self) -> list[str]:
        """The scores that alone are stale, where every fit is today's."""
        found = self._staleness
        return sorted({name for changed in found for name in changed.split()}) if all(found) else []

    @cached_property
    def _staleness(self) -> list[str]:
        """Of each scored row that is not fresh the scores that alone are stale, "" where its fit is."""
        both = zip(self.words("fresh"), self.words("stale_scores"), strict=True)
        return [changed for fresh, changed in both if fresh != "fresh"]


def groups(table: pd.DataFrame) -> dict[tuple[str, ...], Group]:
    """(dataset, method, variant, track, budget) -> its seeds, in the order of these keys."""
    columns = {str(name): table[name].tolist() for name in table.columns}
    places: dict[tuple[str, ...], list[int]] = {}
    for row, key in enumerate(zip(*(columns[name] for name in KEYS), strict=True)):
        places.setdefault(key, []).append(row)
    return {key: Group(columns, sorted(places[key], key=columns["seed"].__getitem__)) for key in sorted(places)}


def seed_agreement(packed: Mapping[str, str], key: tuple[str, ...], group: Group) -> float | None:
    """Mean ARI over all pairs of scored seeds, of their packed assignments: how far seeds find the same clusters.

    packed: `Results.packed`. None below two seeds with assignments of the same rows.
    """
    dataset, method, variant, track, budget = key
    seeds, found = group.columns["seed"], []
    for row in group.ok if packed else ():
        path = packed.get(f"{dataset}/{method}/{track}-{budget}-{variant}-s{seeds[row]}")
        with contextlib.suppress(OSError, ValueError):  # `verify` says what is wrong with a file
            found += [unpack(Path(path).read_bytes())] if path else []
    if len(found) < 2 or len({len(labels) for labels in found}) > 1:
        return None
    ari = metrics.get("ari")
    values = [ari.score(labels_true=one, labels_pred=other) for one, other in combinations(found, 2)]
    return math.fsum(values) / len(values)


def summary(
    table: pd.DataFrame,
    found: Mapping[tuple[str, ...], Group] | None = None,
    agreements: Mapping[tuple[str, ...], float | None] | None = None,
) -> pd.DataFrame:
    """One row a group of seeds: how many are ok of how many owed, mean and standard deviation of every score and cost.

    found: the table's `groups`, where they are at hand. agreements: `seed_agreement` by group.
    """
    columns = [*metrics.names(), "oracle_gap_acc", *COSTS, "total_cpu_seconds"]
    rows = [
        (
            *key,
            len(group.ok),
            group.expected,
            group.stale,
            " ".join(group.stale_scores),
            " ".join(group.states),
            (agreements or {}).get(key),
            *(value for name in columns for value in moments(group.values(name))),
        )
        for key, group in (groups(table) if found is None else found).items()
    ]
    heads = [*KEYS, "seeds_ok", "seeds", "stale", "stale_scores", "states", "seed_agreement_ari"]
    heads += [f"{name}_{what}" for name in columns for what in ("mean", "std")]
    return pd.DataFrame(rows, columns=heads)


def csv(table: pd.DataFrame) -> str:
    """A table as CSV text, floats to six significant digits, blanks where nothing is known."""
    stream = io.StringIO()
    writer = csv_module.writer(stream, lineterminator="\n")
    writer.writerow(table.columns)
    for start in range(0, len(table), 10_000):
        part = table.iloc[start : start + 10_000]
        writer.writerows(zip(*(_texts(part[name]) for name in table.columns), strict=True))
    return stream.getvalue()


def _texts(column: pd.Series) -> list[Any]:
    if column.dtype.kind == "f":
        return ["" if value != value else f"{value:.6g}" for value in column.tolist()]
    return column.tolist()  # the writer leaves None blank


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
