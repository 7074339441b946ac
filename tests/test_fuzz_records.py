"""Whatever lies in the results folder, the record reader answers with a record or a UserError, never another exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.ground.errors import UserError
from benchmark.ground.files import canonical_json
from benchmark.report.tables import csv, runs
from benchmark.schema import decode
from benchmark.store import Results

GOLDEN = [path.read_bytes() for path in sorted((Path(__file__).parent / "golden").glob("schema*/*.json"))]
RECORDS = [json.loads(content) for content in GOLDEN]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["", "..", "ok", "k2x", "on-dec", "set-0", "quick", "inductive", "mnist", 2**63, -1, 1e308, "9" * 5000]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=5
)


def read(content: bytes) -> dict[str, Any] | None:
    """The record, or None where a UserError says why it is none; what is read can be written again."""
    try:
        record = decode(content)
    except UserError:
        return None
    assert decode(canonical_json(record).encode())["method"] == record["method"]
    return record


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A golden record with some values replaced, somewhere in it, or some keys taken away."""
    record = json.loads(draw(st.sampled_from(GOLDEN)))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = record
        while True:
            keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys)) if keys else None
            if key is None:
                break
            if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            if draw(st.integers(0, 5)):
                place[key] = draw(VALUES)
            else:
                del place[key]
            break
    return json.dumps(record).encode()


@st.composite
def cut(draw: st.DrawFn) -> bytes:
    """The bytes of a golden record with a stretch taken out, doubled, or overwritten."""
    content = draw(st.sampled_from(GOLDEN))
    start = draw(st.integers(0, len(content)))
    stop = draw(st.integers(start, min(len(content), start + 200)))
    return content[:start] + draw(st.binary(max_size=20) | st.just(content[start:stop] * 2)) + content[stop:]


@given(st.binary(max_size=200))
def test_any_bytes(content: bytes) -> None:
    """Bytes of any kind."""
    read(content)


@given(VALUES, st.booleans())
def test_any_json(value: Any, schema: bool) -> None:
    """JSON of any shape, with and without a schema number."""
    read(json.dumps({**value, "schema": 1} if schema and isinstance(value, dict) else value).encode())


@given(cut())
def test_damaged_bytes(content: bytes) -> None:
    """A record damaged on the disk."""
    read(content)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with a good record."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "records" / "a" / "b").mkdir(parents=True)
    (folder / "records" / "a" / "b" / "d.json").write_bytes(GOLDEN[-1])
    return folder


@given(mutated())
def test_what_is_read_stands_in_the_tables(place: Path, content: bytes) -> None:
    """A changed record is refused, or goes through tables without harm; the text can be written."""
    if read(content) is not None:
        (place / "records" / "a" / "b" / "c.json").write_bytes(content)
        table = runs(Results(place))
        assert len(table) == 2
        assert csv(table).encode()
