"""Whether records are still what would be measured today; the work that seeds share is done once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import datasets
import metrics
from benchmark.fingerprint import Form, score_facts
from benchmark.ground.errors import UserError
from benchmark.plan import Cell, decides, from_record
from benchmark.provenance import metric_source
from benchmark.store import PROTOCOL


class Today:
    """Today's fingerprints. One object serves one look at many records: what it read of a source it doesn't read again."""

    def __init__(self) -> None:
        self._fits: dict[tuple[str, ...], Callable[[int], str] | None] = {}
        self._scores: dict[str, list[tuple[list[str], Callable[[str], str]]]] = {}
        self._sets: dict[str, bool] = {}

    def freshness(self, record: dict[str, Any]) -> str:
        """`fresh`, `stale` where the fit or a score would be another today, `unknown` where method or dataset are not here."""
        return self.look(record)[0]

    def look(self, record: dict[str, Any]) -> tuple[str, list[str]]:
        """Freshness, and where the fit is today's the names of those scores that would be another."""
        if record["state"] == "not_applicable":
            return "fresh", []
        fit = self._fit(record)
        if fit is None:
            return "unknown", []
        today = fit(record["seed"])
        if today != record["fit_fingerprint"]:
            return "stale", []
        changed = self._changed_scores(record, today)
        return ("stale" if changed else "fresh"), changed

    def _fit(self, record: dict[str, Any]) -> Callable[[int], str] | None:
        """seed -> today's fit fingerprint of the record's cell with that seed; None where there is no such cell."""
        changes, variant, dataset = record.get("changes"), record["variant"], record["dataset"]
        key = (
            *(record["method"], dataset, record["track"], record["budget"]),
            variant if decides(variant, labelled=self._labelled(dataset)) else "",
            record["environment"]["device"],
            json.dumps(changes, sort_keys=True) if changes else "",
            json.dumps([record["submitted"], record["told"]], sort_keys=True) if record.get("submitted") else "",
        )
        if key not in self._fits:
            try:
                self._fits[key] = _by_seed(from_record(record))
                self._labels(record["dataset"])
            except UserError:
                self._fits[key] = None
        return self._fits[key]

    def _labelled(self, dataset: str) -> bool:
        if dataset not in self._sets:
            try:
                self._sets[dataset] = bool(datasets.card(dataset).classes)
            except UserError:  # a set from outside is known once its record was looked at
                return False
        return self._sets[dataset]

    def _labels(self, dataset: str) -> list[tuple[list[str], Callable[[str], str]]]:
        """The metrics that share a source, and fit fingerprint -> today's fingerprint of their scores."""
        if dataset not in self._scores:
            labels = datasets.card(dataset).labels_id
            sharing: dict[str, list[str]] = {}
            for name in metrics.names():
                sharing.setdefault(metric_source(name), []).append(name)
            self._scores[dataset] = [(names, _score_form(source, labels)) for source, names in sharing.items()]
        return self._scores[dataset]

    def _changed_scores(self, record: dict[str, Any], fit: str) -> list[str]:
        then = record.get("score_fingerprints", {})
        signed = ((names, sign(fit)) for names, sign in self._labels(record["dataset"]))
        return [name for names, today in signed for name in names if then.get(name, today) != today]


def _by_seed(cell: Cell) -> Callable[[int], str]:
    parts = {role: _by_seed(part) for role, part in cell.parts.items()}
    form = Form(lambda blank: cell.facts(blank("seed"), {role: blank(f"part_{role}") for role in parts}))
    return lambda seed: form.digest(seed=seed, **{f"part_{role}": fit(seed) for role, fit in parts.items()})


def _score_form(source: str, labels: str) -> Callable[[str], str]:
    form = Form(lambda blank: score_facts(fit=blank("fit"), metric_source=source, protocol=PROTOCOL, labels=labels))
    return form.filler()
