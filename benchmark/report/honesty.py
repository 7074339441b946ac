"""The section of leaderboard.md that says what speaks against its numbers."""

from __future__ import annotations

from collections import Counter

from benchmark.report.board import Board
from benchmark.report.statistics import paired
from benchmark.report.tables import Group
from benchmark.report.words import escape, folded, percent, table

INTRO = """## Honesty

By method, over every cell on this board. *Oracle gap*: what choosing the best snapshot by label would have added to ACC.
*Spread*: standard deviation of ACC over seeds. Each is mean (largest). *Not above chance*: rows whose ACC less that of a
random labelling, paired by seed, is not clearly above 0.
"""


def honesty(board: Board) -> str:
    """Oracle gaps, spreads, rows at the floor, failures, stale rows, attempts at the label wall."""
    by_method: dict[str, list[tuple[tuple[str, ...], Group]]] = {}
    for key, group in board.groups.items():
        by_method.setdefault(key[1], []).append((key, group))
    body = [[escape(name), *_line(board, found)] for name, found in sorted(by_method.items())]
    heads = ["", "cells ok", "not ok", "oracle gap", "spread", "seeds agree", "not above chance", "attempts"]
    attempts = int(board.table.attempts.sum()) if len(board.table) else 0
    parts = [
        INTRO,
        table(heads, body),
        _failures(board),
        _stale(board),
        f"Attempts at the label wall on this board: {attempts}.",
    ]
    return "\n".join(part.strip("\n") + "\n" for part in parts if part)


def _line(board: Board, found: list[tuple[tuple[str, ...], Group]]) -> list[str]:
    """One method's cells of the table."""
    states = Counter(group.columns["state"][row] for _, group in found for row in group.rows)
    bad = [
        f"{count} {state.replace('_', ' ')}" for state, count in sorted(states.items()) if state not in ("ok", "not_applicable")
    ]
    floor = [key for key, group in found if key[1] != "chance" and at_chance(group)]
    return [
        str(states["ok"]),
        ", ".join(bad),
        _mean_and_most([group.mean("oracle_gap_acc") for _, group in found]),
        _mean_and_most([group.std("acc") for _, group in found]),
        _mean_and_most([board.agreement.get(key) for key, _ in found], most=False),
        _names(floor),
        str(sum(group.columns["attempts"][row] for _, group in found for row in group.rows)),
    ]


def at_chance(group: Group) -> bool:
    """Whether ACC is not clearly above that of random labellings; below three seeds, whether its mean is not above it."""
    found = paired(group.by_seed("acc"), group.by_seed("acc_chance"))
    return found is not None and (found.sign or 0) < 1 and (found.sign is not None or found.mean <= 0)


def _names(keys: list[tuple[str, ...]], most: int = 6) -> str:
    names = list(dict.fromkeys(key[0] for key in keys))
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _mean_and_most(values: list[float | None], *, most: bool = True) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    return percent(sum(known) / len(known)) + (f" ({percent(max(known))})" if most else "")


def _failures(board: Board) -> str:
    """Cells that did not end ok, a line for all seeds of a method on a dataset."""
    lines = []
    for key, group in board.groups.items():
        seeds: dict[str, list[int]] = {}
        for row in group.rows:
            state = group.columns["state"][row]
            if state not in ("ok", "not_applicable"):
                seeds.setdefault(state, []).append(group.columns["seed"][row])
        for state, failed in sorted(seeds.items()):
            where = f"{key[0]} / {key[1]} / {' '.join(key[3:])}{'' if key[2] == 'base' else f' {key[2]}'}"
            lines.append(f"- {escape(where)} / seed {', '.join(map(str, failed))}: {state.replace('_', ' ')}")
    return folded(f"Cells that did not end ok: {len(lines)}", "\n".join(lines)) if lines else "No cell on this board failed."


def _stale(board: Board) -> str:
    """Rows that are no longer today's, and in which score alone."""
    lines = []
    for key, group in board.groups.items():
        if group.stale:
            only = f": only {', '.join(group.stale_scores)}" if group.stale_scores else ""
            lines.append(f"- {escape(' / '.join(key))}{escape(only)}")
    return folded(f"Stale rows: {len(lines)}", "\n".join(lines)) if lines else "No row on this board is stale."
