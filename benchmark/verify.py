"""Checks records against themselves: a score that doesn't follow from its table, a table that isn't its assignments'.

Nothing is trained and no data are needed. Where prepared labels or the outputs of a record lie in the cache, they count too.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

import datasets
import metrics
from benchmark.figures import FIGURES, MOST_BYTES, decode
from benchmark.fingerprint import score_fingerprint
from benchmark.ground.errors import UserError
from benchmark.ground.files import load_array
from benchmark.plan import Cell, Suite
from benchmark.provenance import metric_source
from benchmark.schema import BadRecord, LaterRecord, is_number, is_whole
from benchmark.score import score
from benchmark.store import PROTOCOL, Cache, Results, pack, read_record, unpack
from datasets.labels import load_all
from datasets.prepare import fold_seed
from metrics.parts.contingency import Contingency

FROM_TABLE = {"contingency", "clusters"}
OUTPUTS_TOLERANCE = (
    0.02  # last bits of float32 sums differ between processes, and a probe on thousands of dimensions amplifies them
)
MOST_SAMPLES = 10**8
KEYS = set(
    re.findall(
        r"\w+",
        "schema protocol method variant dataset track budget seed state reason flags told attempts k k_used clusters_by changes "
        "config schedule fit_fingerprint score_fingerprints parts scores notes oracle_gap snapshot_scores curve contingency cost "
        "environment commit dirty date",
    )
)
_FINGERPRINT, _COMMIT = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{40}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Problem:
    """What is wrong with a file. what: in words. said: what the record says; found: what was found instead."""

    path: Path
    what: str
    said: Any = None
    found: Any = None

    def __str__(self) -> str:
        both = "" if self.said is self.found is None else f": it says {_brief(self.said)}, found {_brief(self.found)}"
        return f"{self.path}: {self.what}{both}"


@dataclass
class Verdict:
    """What was found. from_table, from_outputs: how many scores were computed again; unseen: how many could not be."""

    records: int = 0
    from_table: int = 0
    from_outputs: int = 0
    unseen: int = 0
    problems: list[Problem] = field(default_factory=list)


def verify(
    results: Results, cache: Cache, *, wanted: Callable[[dict[str, Any]], bool] = lambda _: True, outputs: bool = True
) -> Verdict:
    """Checks every record that is wanted, and that no file beside the records is left over. outputs: score these again."""
    if not (results.root / "records").is_dir():
        raise UserError(f"no records in {results.root}; give a folder that holds `records`")
    verdict = Verdict()
    for key, name in results.files():
        path = Path(name)
        try:
            record = read_record(path)
        except (BadRecord, LaterRecord) as error:
            verdict.problems.append(Problem(path, str(error).removeprefix(f"{path} ")))
            continue
        if wanted(record):
            verdict.records += 1
            verdict.problems += _Check(key, path, record, cache, verdict, outputs).problems()
    for path in sorted((results.root / "records").rglob("*.npz")):
        if not path.name.startswith(".") and not path.with_suffix(".json").is_file():
            verdict.problems.append(Problem(path, "assignments without a record"))
    for path in sorted((results.root / "records").rglob(f"[!.]*.{FIGURES}")):
        if not path.with_name(path.name.removesuffix(FIGURES) + "json").is_file():
            verdict.problems.append(Problem(path, "figures without a record"))
    return verdict


def among(suite: Suite | None, methods: Collection[str] | None, sets: Collection[str] | None) -> Callable[[dict[str, Any]], bool]:
    """Whether a record is of the suite's track and budget and of these methods and datasets; None: the suite's, or any."""
    methods = suite.methods if methods is None and suite else methods
    sets = suite.datasets if sets is None and suite else sets

    def wanted(record: dict[str, Any]) -> bool:
        return (
            (suite is None or (record["track"], record["budget"]) == (suite.track, suite.budget))
            and (methods is None or record["method"] in methods)
            and (sets is None or record["dataset"] in sets)
        )

    return wanted


class _Check:
    """The checks of one record."""

    def __init__(self, key: str, path: Path, record: dict[str, Any], cache: Cache, verdict: Verdict, outputs: bool) -> None:
        self.key, self.path, self.record, self.cache, self.verdict, self.outputs = key, path, record, cache, verdict, outputs
        self.packed = path.with_suffix(".npz")
        self.inductive = record["track"] == "inductive"

    def problems(self) -> list[Problem]:
        """Everything that is wrong with the record and its assignments."""
        found = [*self._words(), *self._fingerprints()]
        found += self._figures()
        if self.record["state"] == "ok":
            found += self._measured()
            return found
        for name in ("scores", "score_fingerprints", "contingency", "oracle_gap"):
            if self.record.get(name):
                found.append(self._wrong(f"has {name}, though its state is {self.record['state']}"))
        if self.packed.exists():
            found.append(Problem(self.packed, f"assignments beside a record whose state is {self.record['state']}"))
        return found

    def _wrong(self, what: str, said: Any = None, found: Any = None) -> Problem:
        return Problem(self.path, what, said, found)

    def _figures(self) -> Iterator[Problem]:
        """The figures beside the record are such, small, and of the record's fit."""
        path = self.path.with_name(f"{self.path.stem}.{FIGURES}")
        if not path.is_file():
            return
        try:
            size, fit = path.stat().st_size, decode(path.read_bytes())["fit_fingerprint"]
        except ValueError as error:
            yield Problem(path, f"can't be read: {error}")
            return
        if size > MOST_BYTES:
            yield Problem(path, f"has {size:,} bytes; {MOST_BYTES:,} are allowed")
        if fit != self.record["fit_fingerprint"]:
            yield Problem(path, "are figures of another fit", fit, self.record["fit_fingerprint"])

    def _words(self) -> Iterator[Problem]:
        """What the record says of itself."""
        record = self.record
        if lacking := sorted(KEYS - set(record)):
            yield self._wrong(f"lacks {', '.join(lacking)}")
        cell = Cell(**{name: record[name] for name in ("method", "dataset", "track", "budget", "seed", "variant")})
        if cell.key != self.key:
            yield self._wrong("lies under another cell's name", cell.key, self.key)
        if record.get("protocol") != PROTOCOL:
            yield self._wrong("is of another protocol", record.get("protocol"), PROTOCOL)
        commit, date = record.get("commit"), record.get("date")
        if commit is not None and not (isinstance(commit, str) and _COMMIT.fullmatch(commit)):
            yield self._wrong(f"commit {_brief(commit)} is not 40 hexadecimal digits")
        if any(not {"from", "to", "date"} <= set(entry) for entry in record.get("restamped", [])):
            yield self._wrong("restamped lacks from, to or date")
        if not (isinstance(date, str) and _DATE.fullmatch(date)):
            yield self._wrong(f"date {_brief(date)} is not YYYY-MM-DD")
        if record["state"] != "ok" and not record.get("reason"):
            yield self._wrong(f"gives no reason for its state {record['state']}")
        for name, value in record["cost"].items():
            if value is not None and value < 0:
                yield self._wrong(f"{name} is below 0: {value}")

    def _fingerprints(self) -> Iterator[Problem]:
        """Fingerprints are well formed, and each score has one."""
        record, scores = self.record, self.record.get("score_fingerprints", {})
        prints = {f"score {name}": text for name, text in scores.items()}
        prints |= {f"part {i}": text for i, text in enumerate(record.get("parts", []))}
        if record["state"] != "not_applicable":
            prints["the fit"] = record["fit_fingerprint"]
        for name, text in prints.items():
            if not _FINGERPRINT.fullmatch(text):
                yield self._wrong(f"fingerprint of {name} is not 32 hexadecimal digits: {text!r}")
        if set(record["scores"]) != set(scores):
            yield self._wrong("scores and fingerprints are of different metrics", sorted(record["scores"]), sorted(scores))

    def _measured(self) -> Iterator[Problem]:
        """The numbers of a scored record: its assignments, the table against them, then what follows from the table."""
        try:
            table = Contingency.from_triples(self.record.get("contingency", []))
        except ValueError as error:
            yield self._wrong(f"contingency is no table ({error})")
            return
        assignments, bad = self._assignments()
        if assignments is not None:
            yield from self._used(assignments)
            bad += self._sizes(table, assignments)
        yield from bad
        if table.n <= MOST_SAMPLES:  # a table that counts something else says nothing of the scores
            yield from self._against_card(table)
            yield from self._from_table(table)
        if assignments is not None and not bad:
            yield from self._against_labels(table, assignments)
        yield from self._from_outputs(None if bad else assignments)
        yield from self._over_time()

    def _assignments(self) -> tuple[np.ndarray | None, list[Problem]]:
        """The packed assignments, [n] int64, or what is wrong with them."""
        try:
            content = self.packed.read_bytes()
            found = unpack(content)
        except FileNotFoundError:
            return None, [Problem(self.packed, "the packed assignments are not there")]
        except ValueError as error:
            return None, [Problem(self.packed, f"the packed assignments can't be read: {error}")]
        again = pack(found)
        if len(again) == len(content) and again != content:  # another zlib may need another length, but not only other bytes
            return None, [Problem(self.packed, "the packed assignments are not as they were written")]
        return found, []

    def _used(self, assignments: np.ndarray) -> Iterator[Problem]:
        """k_used and the flag of a collapse against the packed assignments."""
        record = self.record
        used, k = len(np.unique(assignments[assignments >= 0])), record.get("k")
        if record["k_used"] != used:
            yield self._wrong("k_used is not the number of clusters in the assignments", record["k_used"], used)
        if is_whole(k) and "k" in record["told"] and ("collapsed" in record["flags"]) != (used < int(k or 0)):
            yield self._wrong(f"flags are {record['flags']} with {used} clusters used of {k}")

    def _sizes(self, table: Contingency, assignments: np.ndarray) -> list[Problem]:
        """The sizes of clusters against the packed assignments. Inductive: the table is of the test rows alone."""
        ids, counts = np.unique(assignments, return_counts=True)
        packed = dict(zip(ids.tolist(), counts.tolist(), strict=True))
        tabled = dict(zip(table.clusters.tolist(), table.cluster_sizes.tolist(), strict=True))
        for cluster in sorted(packed.keys() | tabled.keys()):
            said, found = tabled.get(cluster, 0), packed.get(cluster, 0)
            if said > found or (said != found and not self.inductive):
                return [self._wrong(f"size of cluster {cluster} is not that of the packed assignments", said, found)]
        return []

    def _against_card(self, table: Contingency) -> Iterator[Problem]:
        """The sizes of classes against the dataset's card."""
        if not self._todays_labels:
            return
        card = datasets.card(self.record["dataset"])
        sizes = dict(zip(table.classes.tolist(), table.class_sizes.tolist(), strict=True))
        for label, count in enumerate(card.test_counts if self.inductive else card.class_counts):
            if sizes.get(label, 0) != count:
                yield self._wrong(f"size of class {label} is not that on the dataset's card", sizes.get(label, 0), count)
        n = card.n_test if self.inductive else card.n
        if table.n != n:
            yield self._wrong("number of samples is not that on the dataset's card", table.n, n)

    def _against_labels(self, table: Contingency, assignments: np.ndarray) -> Iterator[Problem]:
        """The table against prepared labels and the packed assignments."""
        if not self._truth or len(self._truth[0]) != len(assignments):
            return
        labels, split, _ = self._truth
        rows = split == 1 if self.inductive and split is not None else np.ones(len(labels), bool)
        said, found = table.triples(), Contingency.of(labels[rows], assignments[rows]).triples()
        if said != found:
            first = next((a, b) for a, b in zip([*said, None], [*found, None], strict=False) if a != b)
            yield self._wrong("contingency is not that of labels and assignments", *first)

    def _from_table(self, table: Contingency) -> Iterator[Problem]:
        """Every score that follows from the table."""
        evidence = metrics.Evidence(contingency=table)
        for name in self._names(from_table=True):
            self.verdict.from_table += 1
            said, found = self.record["scores"][name], metrics.get(name).measure(evidence)
            if not same(said, found):
                yield self._wrong(f"{name} doesn't follow from the contingency", said, found)

    def _from_outputs(self, assignments: np.ndarray | None) -> Iterator[Problem]:
        """Every other score, from outputs in the cache if they are this record's; else only against its range."""
        names, fit = self._names(from_table=False), self.record["fit_fingerprint"]
        folder, again = self.cache.output(fit), None
        if self.outputs and assignments is not None and self._truth and self.cache.whole(fit):
            truth, split, fold = self._truth
            if np.array_equal(load_array(folder / "assign.npy"), assignments):  # else another machine's fit
                self._as_many_threads()
                again = score(folder, truth=truth, split=split, fold=fold, track=self.record["track"], names=names)["scores"]
        for name in names:
            said, card = self.record["scores"][name], metrics.card(name)
            low, high = -math.inf if card.low is None else card.low, math.inf if card.high is None else card.high
            if said is not None and not low - 1e-6 <= said <= high + 1e-6:
                yield self._wrong(f"{name} is out of its range", said, [card.low, card.high])
            elif again is not None and not same(said, again[name], OUTPUTS_TOLERANCE):
                yield self._wrong(f"{name} doesn't follow from the outputs", said, again[name])
        self.verdict.from_outputs += 0 if again is None else len(names)
        self.verdict.unseen += len(names) if again is None else 0

    def _as_many_threads(self) -> None:
        """Sets torch to the record's threads, on which the last bits of sums depend."""
        import torch

        threads = self.record["environment"].get("threads")
        torch.set_num_threads(threads if is_whole(threads) and 0 < threads <= 1024 else 1)

    def _names(self, *, from_table: bool) -> list[str]:
        known = [name for name in self.record["scores"] if name in metrics.names()]
        return [name for name in known if (set(metrics.card(name).needs) <= FROM_TABLE) == from_table]

    def _over_time(self) -> Iterator[Problem]:
        """The oracle gap against the scores of the snapshots, of which the last is the record's."""
        gaps, table, scores = self.record.get("oracle_gap", {}), self.record.get("snapshot_scores", {}), self.record["scores"]
        if set(gaps) != set(table):
            yield self._wrong("oracle gap and snapshots are of different scores", sorted(gaps), sorted(table))
            return
        for name, values in table.items():
            if not (isinstance(values, list) and values and all(map(is_number, values)) and is_number(gaps[name])):
                yield self._wrong(f"snapshots of {name} are no list of numbers: {_brief(values)}")
            elif abs(gaps[name] - (max(values) - values[-1])) > 2e-6:
                yield self._wrong(f"oracle gap of {name} doesn't follow from the snapshots", gaps[name], max(values) - values[-1])
            elif not self.inductive and values[-1] != scores.get(name):
                yield self._wrong(f"{name} is not that of the last snapshot", scores.get(name), values[-1])

    @cached_property
    def _todays_labels(self) -> bool:
        """Whether a score was signed with the labels that today's card of the dataset names."""
        fit, names = self.record["fit_fingerprint"], metrics.names()
        try:
            labels = datasets.card(self.record["dataset"]).labels_id
        except UserError:
            return False
        return any(
            text == score_fingerprint(fit=fit, metric_source=metric_source(name), protocol=PROTOCOL, labels=labels)
            for name, text in self.record.get("score_fingerprints", {}).items()
            if name in names
        )

    @property
    def _truth(self) -> tuple[np.ndarray, np.ndarray | None, np.ndarray] | None:
        """Labels, official split and that of kNN, in prepared order, where the record's dataset is prepared in the cache."""
        return prepared(self.cache, self.record["dataset"]) if self._todays_labels else None


@cache
def prepared(store: Cache, name: str) -> tuple[np.ndarray, np.ndarray | None, np.ndarray] | None:
    """What a scorer needs of a dataset, if its prepared files are in the cache and today's."""
    try:
        index = json.loads((store.labels / "index" / f"{name}.json").read_text(encoding="utf-8"))
        if index["sha_labels"] != datasets.card(name).labels_id:
            return None
        truth, split, fold = load_all(store.labels / index["labels"], store.inputs / index["inputs"], fold_seed(name))
        return None if truth is None or fold is None else (truth, split, fold)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def same(said: Any, found: float | None, tolerance: float = 1e-13) -> bool:
    """Whether a recorded score is this value, rounded as records are: to nine significant digits, then to six."""
    if said is None or found is None:
        return said is None and (found is None or not math.isfinite(found))
    if said == found:
        return True
    unit = 10.0 ** (math.floor(math.log10(max(abs(said), abs(found)))) - 5)
    return abs(said - found) <= 0.5015 * unit + tolerance


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}…"
