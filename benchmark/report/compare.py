"""Two states of the records side by side: what is new, gone, moved by more than noise, and whether the code explains it."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import metrics
from benchmark.ground.errors import UserError
from benchmark.plan import load_suite, suites
from benchmark.report.board import Board
from benchmark.report.statistics import MIN_SEEDS, paired
from benchmark.report.tables import KEYS
from benchmark.report.words import escape, folded, table
from benchmark.store import PROTOCOL, ROOT, Results

Key = tuple[str, ...]
ROUNDING = 1.5e-6  # relative; records keep six digits
TOLERANCE = 0.02  # what one seed may differ by where the same code ran on another machine
MOST_ROWS = 100  # of a table in markdown


@dataclass(frozen=True)
class Move:
    """A score of a group of seeds that moved. low, high: 95% interval of new − old over seeds, None below three.

    explained: the fit's or the score's fingerprint changed with it, in every seed that moved.
    """

    key: Key
    score: str
    old: float
    new: float
    low: float | None
    high: float | None
    explained: bool


@dataclass
class Comparison:
    """What differs. new, gone: groups of seeds, or seeds of them. states: cells whose state changed, (key, old, new).

    refitted: groups of which a fit fingerprint changed. ranks: suite -> (old order, new order) of the competing methods.
    """

    new: dict[Key, list[int]] = field(default_factory=dict)
    gone: dict[Key, list[int]] = field(default_factory=dict)
    states: list[tuple[str, str, str]] = field(default_factory=list)
    refitted: set[Key] = field(default_factory=set)
    moved: list[Move] = field(default_factory=list)
    ranks: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)

    @property
    def unexplained(self) -> list[Move]:
        """Scores that moved though the method's code did not."""
        return [move for move in self.moved if not move.explained]

    @property
    def nothing(self) -> bool:
        """Whether both states say the same."""
        return not (self.new or self.gone or self.states or self.refitted or self.moved)


@contextmanager
def results_of(name: str) -> Iterator[Results]:
    """The records of a folder (one with `records`, or a checkout), or of a commit of this repository."""
    folder = Path(name)
    for place in (folder, folder / "results" / PROTOCOL):
        if (place / "records").is_dir():
            yield Results(place.resolve())
            return
    if folder.is_dir():
        raise UserError(f"{name!r} holds no records; give a folder with `records`, a checkout, or a commit")
    inner = f"results/{PROTOCOL}/records"
    asked = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"],
        capture_output=True,
    )
    if asked.returncode:
        raise UserError(f"{name!r} is neither a folder nor a commit of this repository; `git log` lists commits")
    commit = asked.stdout.decode().strip()
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", commit, "--", inner], capture_output=True)
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / inner).mkdir(parents=True)
        if not packed.returncode:  # an older commit may have no records at all
            with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
                archive.extractall(scratch, filter="data")
        yield Results(Path(scratch) / "results" / PROTOCOL)


def compare(old: Results, new: Results) -> Comparison:
    """Compares all records of two folders, seed by seed."""
    before, after, found = _by_group(old), _by_group(new), Comparison()
    for key in sorted({*before, *after}):
        was, now = before.get(key, {}), after.get(key, {})
        if added := sorted(set(now) - set(was)):
            found.new[key] = added
        if lost := sorted(set(was) - set(now)):
            found.gone[key] = lost
        shared = sorted(set(was) & set(now))
        for seed in shared:
            if was[seed]["state"] != now[seed]["state"]:
                found.states.append((f"{'/'.join(key)} seed {seed}", was[seed]["state"], now[seed]["state"]))
        if any(was[seed]["fit_fingerprint"] != now[seed]["fit_fingerprint"] for seed in shared):
            found.refitted.add(key)
        found.moved += _moves(key, {seed: (was[seed], now[seed]) for seed in shared})
    found.ranks = _ranks(Board.of(old), Board.of(new))
    return found


def _by_group(results: Results) -> dict[Key, dict[int, dict[str, Any]]]:
    """Group -> seed -> record."""
    table: dict[Key, dict[int, dict[str, Any]]] = {}
    for _, record in results.records(tables=False):
        table.setdefault(tuple(record[name] for name in KEYS), {})[record["seed"]] = record
    return table


def _moves(key: Key, pairs: Mapping[int, tuple[dict[str, Any], dict[str, Any]]]) -> Iterator[Move]:
    """The scores of one group that moved by more than noise, and those that moved without a reason."""
    for name in metrics.names():
        scores = {
            seed: (float(a["scores"][name]), float(b["scores"][name]))
            for seed, (a, b) in pairs.items()
            if a["scores"].get(name) is not None and b["scores"].get(name) is not None
        }
        shifted = [seed for seed, (a, b) in scores.items() if abs(b - a) > ROUNDING * max(abs(a), abs(b))]
        if not shifted:
            continue
        difference = paired({s: b for s, (_, b) in scores.items()}, {s: a for s, (a, _) in scores.items()})
        assert difference is not None
        bare = [seed for seed in shifted if not _explained(name, *pairs[seed])]
        # A forged score of one seed hides in the interval over all of them, so each seed counts for itself too.
        loose = any(abs(scores[seed][1] - scores[seed][0]) > TOLERANCE for seed in bare)
        if difference.n < MIN_SEEDS or difference.sign or loose:
            old, new = (sum(pair[i] for pair in scores.values()) / len(scores) for i in (0, 1))
            yield Move(key, name, old, new, difference.low, difference.high, not bare)


def _explained(name: str, old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether the code, the settings or the data behind a score changed."""
    prints = [record.get("score_fingerprints", {}).get(name) for record in (old, new)]
    return old["fit_fingerprint"] != new["fit_fingerprint"] or prints[0] != prints[1]


def _ranks(old: Board, new: Board) -> dict[str, tuple[list[str], list[str]]]:
    """The order of competing methods of each suite where it changed."""
    found = {}
    for name in suites():
        suite = load_suite(name)
        orders = tuple([method for method, _ in board.competing(suite)] for board in (old, new))
        if orders[0] != orders[1]:
            found[name] = (orders[0], orders[1])
    return found


def text(found: Comparison) -> str:
    """The comparison as markdown, for a terminal or a pull request."""
    if found.nothing:
        return "No record changed.\n"
    said = {
        "groups with new cells": len(found.new),
        "with cells gone": len(found.gone),
        "refitted": len(found.refitted),
        "scores moved": len(found.moved),
        "of them unexplained": len(found.unexplained),
    }
    parts = [", ".join(f"{count} {what}" for what, count in said.items()) + "."]
    if found.unexplained:
        parts.append("### Moved though the code did not\n\n" + _moved(found.unexplained, found))
    if explained := [move for move in found.moved if move.explained]:
        parts.append("### Moved with the code\n\n" + _moved(explained, found))
    for title, cells in (("New", found.new), ("Gone", found.gone)):
        if cells:
            body = [[*map(escape, key), ", ".join(map(str, seeds))] for key, seeds in list(cells.items())[:MOST_ROWS]]
            parts.append(folded(f"{title}: {len(cells)}", table([*KEYS, "seeds"], body) + _more(len(cells))))
    if found.states:
        lines = [f"- {escape(key)}: {old} → {new}" for key, old, new in found.states[:MOST_ROWS]]
        parts.append("### States\n\n" + "\n".join(lines) + _more(len(found.states)))
    for suite, (old, new) in found.ranks.items():
        body = [[escape(name), _place(old, name), _place(new, name)] for name in dict.fromkeys([*new, *old])]
        parts.append(f"### Order of the methods, suite `{suite}`\n\n" + table(["", "before", "after"], body))
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _moved(moves: list[Move], found: Comparison) -> str:
    body = [
        [
            *map(escape, move.key),
            move.score,
            f"{move.old:.4g}",
            f"{move.new:.4g}",
            f"{move.new - move.old:+.2g}"
            + ("" if move.low is None or move.high is None else f" [{move.low:.2g}, {move.high:.2g}]"),
            "changed" if move.key in found.refitted else "the same",
        ]
        for move in moves[:MOST_ROWS]
    ]
    heads = [*KEYS, "score", "before", "after", "difference, 95 %", "fit fingerprint"]
    return table(heads, body, words=len(KEYS) + 1) + _more(len(moves))


def _more(count: int) -> str:
    return f"\nand {count - MOST_ROWS} more\n" if count > MOST_ROWS else ""


def _place(order: list[str], name: str) -> str:
    return str(order.index(name) + 1) if name in order else ""
