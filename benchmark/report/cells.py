"""What a method's page shows of one group of seeds: curves, scores over time, confusion after matching, map and images."""

from __future__ import annotations

import math
from typing import Any

from benchmark.figures import decode, may_show
from benchmark.report.tables import KEYS
from benchmark.store import Results
from metrics.parts.contingency import Contingency
from metrics.parts.matching import match

MOST_CURVES = 6


def read_details(results: Results) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    """(dataset, method, variant, track, budget) -> what its scored records say beside the tables, by seed."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    wanted = ("seed", "curve", "snapshot_scores", "fit_fingerprint", "config", "date", "commit")
    for key, record in results.records():
        if record["state"] != "ok":
            continue
        facts = {name: record.get(name) for name in wanted}
        facts["key"] = key
        facts["contingency"] = record.get("contingency") if record["seed"] == 0 else None
        found.setdefault(tuple(record[name] for name in KEYS), []).append(facts)
    return {key: sorted(records, key=lambda record: record["seed"]) for key, records in found.items()}


def cell_data(records: list[dict[str, Any]], results: Results, *, images: str) -> dict[str, Any]:
    """For the scripts. images: the licence of the data, which says whether pictures are shown."""
    first = next((record for record in records if record["seed"] == 0), None)
    return {
        "curves": _lines(records, "curve"),
        "snapshots": _lines(records, "snapshot_scores"),
        "confusion": confusion(first["contingency"]) if first and first["contingency"] else None,
        "figures": _figures(first, results, images) if first else None,
        "config": {str(name): str(value) for name, value in ((first or {}).get("config") or {}).items()},
        "record": f"{first['key']}.json" if first else "",
        "commit": str((first or {}).get("commit") or ""),
        "date": str((first or {}).get("date") or ""),
    }


def _lines(records: list[dict[str, Any]], what: str) -> dict[str, list[dict[str, Any]]]:
    """name -> the numbers of each seed; whatever is no list of numbers is left out."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        table = record[what] if isinstance(record[what], dict) else {}
        for name, values in table.items():
            if isinstance(values, list) and values and all(_is_finite(value) for value in values):
                found.setdefault(str(name), []).append({"seed": record["seed"], "values": values})
    return dict(list(found.items())[:MOST_CURVES])


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def confusion(triples: list[list[int]]) -> dict[str, Any] | None:
    """Classes × clusters, clusters in the order of the classes they are matched to, unmatched ones last."""
    try:
        table = Contingency.from_triples(triples)
    except ValueError:
        return None
    rows, columns = match(table)
    partner = dict(zip(columns.tolist(), rows.tolist(), strict=True))
    order = sorted(range(len(table.clusters)), key=lambda column: (partner.get(column, len(table.classes)), column))
    return {
        "classes": table.classes.tolist(),
        "clusters": [int(table.clusters[column]) for column in order],
        "matched": [int(table.classes[partner[column]]) if column in partner else None for column in order],
        "counts": table.table[:, order].tolist(),
    }


def _figures(record: dict[str, Any], results: Results, licence: str) -> dict[str, Any] | None:
    """The figures beside a record, if they are of its fit. The licence is asked again: the card may have changed."""
    path = results.figures(record["key"])
    try:
        figures = decode(path.read_bytes())
    except (OSError, ValueError):
        return None
    if figures["fit_fingerprint"] != record["fit_fingerprint"]:
        return None
    return figures if may_show(licence) else {**figures, "sheet": None}
