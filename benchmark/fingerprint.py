"""Fingerprints: a record is fresh as long as what made it is what would make it today.

fit: method source and its parts, FIT_VERSION, configuration, inputs, k, seed, track, budget, device class, part fits.
score, one a metric: fit, that metric's source, protocol, labels.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
import uuid
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.ground.files import canonical_json, sha256

FIT_VERSION = 1  # raise by hand when base, run, worker or the preparation of datasets change what a method gets
SCORE_VERSION = 1  # raise by hand when the scorer changes what a metric gets


def digest(value: Any) -> str:
    """A short hash of a JSON-like value."""
    return sha256(canonical_json(value, digits=12).encode())[:32]


def source_digest(paths: Iterable[Path]) -> str:
    """A hash of Python files by name and code: comments, docstrings, cards and blank lines aside, on any Python version."""
    files = list(paths)
    names = [path.name for path in files]
    own = {path: path.name if names.count(path.name) == 1 else f"{path.parent.name}/{path.name}" for path in files}
    return digest({own[path]: bare_source(path) for path in files})


@cache
def bare_source(path: Path) -> str:
    """A file's code without comments, docstrings, cards and blank lines.

    What of a card reaches a fit (settings, parts, what it is told) is in the fingerprint by itself; its words are not code.
    """
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            docstring = node.body[0]
            lines[docstring.lineno - 1 : docstring.end_lineno] = [""] * len(lines[docstring.lineno - 1 : docstring.end_lineno])
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) in ("card", "cards"):
            lines[node.lineno - 1 : node.end_lineno] = [""] * len(lines[node.lineno - 1 : node.end_lineno])
    return "\n".join(line.rstrip() for line in lines if line.strip())


def fit_facts(
    *,
    source: str,
    config: dict[str, Any],
    inputs: str,
    k: list[int | None],
    seed: int,
    track: str,
    budget: str,
    device: str,
    parts: dict[str, str],
    supervision: str | None,
) -> dict[str, Any]:
    """What decides a fit, as it is hashed.

    k: what the method is told, and how many clusters the harness makes of its embedding. parts: role -> fit fingerprint.
    """
    return {
        "version": FIT_VERSION,
        "source": source,
        "config": config,
        "inputs": inputs,
        "k": k,
        "seed": seed,
        "track": track,
        "budget": budget,
        "device": device,
        "parts": parts,
        "supervision": supervision,
    }


def score_fingerprint(*, fit: str, metric_source: str, protocol: str, labels: str) -> str:
    """The fingerprint of one score."""
    return digest(score_facts(fit=fit, metric_source=metric_source, protocol=protocol, labels=labels))


def score_facts(*, fit: str, metric_source: str, protocol: str, labels: str) -> dict[str, Any]:
    """What decides a score, as it is hashed."""
    return {"version": SCORE_VERSION, "fit": fit, "metric": metric_source, "protocol": protocol, "labels": labels}


class Form:
    """A digest with blanks, for many values that differ in a few places: the text is made once, the blanks are filled in.

    >>> form = Form(lambda blank: {"a": blank("x"), "b": 2})
    >>> form.digest(x=1) == digest({"a": 1, "b": 2})
    True
    """

    def __init__(self, value: Callable[[Callable[[str], Any]], Any]) -> None:
        mark = uuid.uuid4().hex  # no value of a record can hold it
        text = canonical_json(value(lambda name: f"{mark}{name}{mark}"), digits=12)
        self._pieces = text.split(mark)  # text, name, text, …, name, text

    def digest(self, **values: str | int) -> str:
        """`digest` of the value with its blanks filled in. Strings must need no escape in JSON."""
        pieces = self._pieces.copy()
        for i in range(1, len(pieces), 2):
            value = values[pieces[i]]
            pieces[i] = str(value)
            if isinstance(value, int):
                pieces[i - 1], pieces[i + 1] = pieces[i - 1][:-1], pieces[i + 1][1:]
        return sha256("".join(pieces).encode())[:32]

    def filler(self) -> Callable[[str], str]:
        """`digest` of a form with a single blank, for a string, in the fewest steps."""
        head, _, tail = (piece.encode() for piece in self._pieces)
        return lambda value: hashlib.sha256(head + value.encode() + tail).hexdigest()[:32]
