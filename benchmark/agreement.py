"""Whether a metric whose code changed gives the values it gave: tried on every record whose outputs are here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import datasets
from benchmark.fingerprint import score_fingerprint
from benchmark.ground.files import load_array
from benchmark.provenance import score_fingerprints
from benchmark.score import score
from benchmark.store import PROTOCOL, Cache, Results, unpack
from benchmark.verify import prepared, same

LEAST = 2  # records of the same dataset and track that agree
_ASKED = """
import json, metrics
from benchmark.provenance import metric_source
print(json.dumps({name: metric_source(name) for name in metrics.names()}))
"""


class _Code(NamedTuple):
    """A past code of a metric. source: its hash."""

    metric: str
    source: str


class _Compared(NamedTuple):
    """On how many records two codes agree, by dataset and track; and the key of one where they don't."""

    agree: Counter[tuple[str, str]]
    differs: str | None


class Agreement:
    """Today's values of metrics beside the recorded ones.

    results: whose records are tried; nothing is written. commits: gives those that changed metrics, newest first. tree: gives
    the folder with a commit's code, or None. say: is told what is about to be computed.
    """

    def __init__(
        self,
        results: Results,
        cache: Cache,
        *,
        commits: Callable[[], list[str]],
        tree: Callable[[str], Path | None],
        say: Callable[[str], object] = print,
    ) -> None:
        self.results, self.cache, self.commits, self.tree, self.say = results, cache, commits, tree, say
        self._sources: dict[str, dict[str, str]] = {}
        self._compared: dict[_Code, _Compared] = {}
        self._values: dict[str, dict[str, float | None]] = {}

    def on(self, record: dict[str, Any], metric: str) -> int:
        """On how many records today's metric agrees with the code that measured this one; 0: it doesn't, or can't be tried."""
        code = self._code(record, metric)
        if code is None:
            return 0
        if code not in self._compared:
            self._compared[code] = self._compare(code)
        agree, differs = self._compared[code]
        return 0 if differs or agree[record["dataset"], record["track"]] < LEAST else agree.total()

    def _compare(self, code: _Code) -> _Compared:
        agree: Counter[tuple[str, str]] = Counter()
        for key, record in self._at_hand:
            if self._code(record, code.metric) != code:
                continue
            if not same(record["scores"][code.metric], self._today(key, record)[code.metric]):
                self.say(f"{code.metric} gives another value for {key}")
                return _Compared(agree, key)
            agree[record["dataset"], record["track"]] += 1
        return _Compared(agree, None)

    def _code(self, record: dict[str, Any], metric: str) -> _Code | None:
        """The past code that measured a record, where a commit here has it."""
        signed = record["score_fingerprints"].get(metric)
        sources = (source for source in self._past(metric) if signed == _signature(record, source))
        return next((_Code(metric, source) for source in sources), None)

    def _past(self, metric: str) -> Iterator[str]:
        """The metric's sources, newest first, each commit's code asked once."""
        for commit in self._commits:
            if commit not in self._sources:
                self._sources[commit] = self._ask(commit)
            if metric in self._sources[commit]:
                yield self._sources[commit][metric]

    @cached_property
    def _commits(self) -> list[str]:
        return self.commits()

    def _ask(self, commit: str) -> dict[str, str]:
        """The source of every metric by a commit's own account; empty where it can't say."""
        tree = self.tree(commit)
        if tree is None:
            return {}
        said = subprocess.run([sys.executable, "-c", _ASKED], cwd=tree, capture_output=True, text=True)
        return json.loads(said.stdout) if said.returncode == 0 else {}

    @cached_property
    def _at_hand(self) -> list[tuple[str, dict[str, Any]]]:
        """Every scored record whose outputs are here and are those that its assignments were taken from."""
        found = [(key, record) for key, record in self.results.records() if record["state"] == "ok" and self._own(key, record)]
        self.say(f"computing scores of {len(found)} records again from their outputs")
        return found

    def _own(self, key: str, record: dict[str, Any]) -> bool:
        fit = record["fit_fingerprint"]
        if not self.cache.whole(fit) or prepared(self.cache, record["dataset"]) is None:
            return False
        packed = self.results.path(key).with_suffix(".npz")
        return packed.is_file() and np.array_equal(load_array(self.cache.output(fit) / "assign.npy"), unpack(packed.read_bytes()))

    def _today(self, key: str, record: dict[str, Any]) -> dict[str, float | None]:
        """Today's values of all that is stale of a record, together, since metrics share the work."""
        if key not in self._values:
            truth, split, fold = prepared(self.cache, record["dataset"]) or (None, None, None)
            fit, signed = record["fit_fingerprint"], record["score_fingerprints"]
            now = score_fingerprints(fit, datasets.card(record["dataset"]).labels_id)
            names = [name for name in signed if name in now and signed[name] != now[name]]
            folder = self.cache.output(fit)
            found = score(folder, truth=truth, split=split, fold=fold, track=record["track"], names=names)
            self._values[key] = found["scores"]
        return self._values[key]


def _signature(record: dict[str, Any], source: str) -> str:
    """The fingerprint of a record's score by a metric of this source, for the labels of today's card."""
    labels = datasets.card(record["dataset"]).labels_id
    return score_fingerprint(fit=record["fit_fingerprint"], metric_source=source, protocol=PROTOCOL, labels=labels)
