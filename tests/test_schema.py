"""Records of every schema load for ever; what is no record, or a later program's, is named and never guessed at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmark import schema
from benchmark.api import work
from benchmark.ground.errors import UserError
from benchmark.ground.files import canonical_json
from benchmark.plan import Cell
from benchmark.report.tables import runs
from benchmark.schema import BadRecord, LaterRecord, decode, without_table
from benchmark.store import Cache, Results, read_record

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("schema*/*.json"))
OK = GOLDEN / "schema1" / "ok.json"


def filed(folder: Path, content: bytes, name: str = "s0") -> Results:
    """A results folder with one file in it, under the key of a cell of k-means on blobs."""
    path = folder / f"records/blobs/pixels_kmeans/transductive-smoke-base-{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return Results(folder)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_golden_records_load(path: Path) -> None:
    """A record of any schema that ever was loads as one of today's, and keeps what it said."""
    then, now = json.loads(path.read_text(encoding="utf-8")), read_record(path)
    assert now["schema"] == schema.SCHEMA
    for name in ("method", "dataset", "state", "scores", "contingency", "fit_fingerprint", "reason"):
        assert now[name] == then[name]


def test_there_is_a_golden_record_of_every_schema_and_kind() -> None:
    """Whoever raises SCHEMA keeps records of the old one: scored, failed, and of a cell that can't be."""
    for number in range(1, schema.SCHEMA + 1):
        states = {json.loads(path.read_text(encoding="utf-8"))["state"] for path in GOLDEN.glob(f"schema{number}/*.json")}
        assert states >= {"ok", "failed", "not_applicable"}


def test_golden_records_stand_in_a_table(tmp_path: Path) -> None:
    """An old record is a row like any other."""
    for i, path in enumerate(FILES):
        filed(tmp_path, path.read_bytes(), f"s{i}")
    assert sorted(runs(Results(tmp_path)).state) == ["diverged", "failed", "not_applicable", "ok"]


def test_upgrades_are_applied_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record two schemas old passes through both upgrades, in order, and comes out with today's number."""

    def second(record: dict[str, Any]) -> dict[str, Any]:
        return {**record, "kept": record["renamed"] + " twice"}

    def first(record: dict[str, Any]) -> dict[str, Any]:
        return {**record, "renamed": record["reason"] or "none"}

    monkeypatch.setattr(schema, "SCHEMA", 3)
    monkeypatch.setattr(schema, "UPGRADES", {1: first, 2: second})
    found = decode(OK.read_bytes())
    assert (found["schema"], found["kept"]) == (3, "none twice")
    cut = {key: value for key, value in json.loads(OK.read_text(encoding="utf-8")).items() if key != "reason"}
    with pytest.raises(BadRecord, match=r"no whole record of schema 1 \(KeyError\('reason'\)\)"):
        decode(json.dumps(cut).encode())


def test_a_schema_that_never_was_is_named() -> None:
    """Schema 0 has no upgrade, so it is no record."""
    with pytest.raises(BadRecord, match="has schema 0, which never was"):
        decode(json.dumps({**json.loads(OK.read_text(encoding="utf-8")), "schema": 0}).encode())


def test_a_later_schema_says_which_program_is_needed(tmp_path: Path) -> None:
    """A record of a later schema names file, schema and the commit that wrote it, and a run doesn't replace it."""
    later = {
        **json.loads(OK.read_text(encoding="utf-8")),
        "schema": 7,
        "scores": "in another shape",
        "commit": "0123456789abcdef",
    }
    results = filed(tmp_path, json.dumps(later).encode())
    said = r"s0\.json has schema 7, which a later version .* schemas up to 1; update the checkout, .* 0123456789ab$"
    for read in (lambda: list(results.records()), lambda: runs(results), lambda: work([cell()], results, Cache(tmp_path))):
        with pytest.raises(LaterRecord, match=said):
            read()


def cell() -> Cell:
    """The cell whose record lies in the folder of these tests."""
    return Cell("pixels_kmeans", "blobs", "transductive", "smoke", 0)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", OK.read_bytes()[:900], b'{"schema": 1}', b"[1]", b"[" * 100_000])
def test_a_record_cut_in_half_stops_the_board_and_is_trained_again(content: bytes, tmp_path: Path) -> None:
    """The board names the file and what to do; a plan has the cell trained again; other records are still told of."""
    results = filed(tmp_path, content)
    filed(tmp_path, OK.read_bytes(), "s1")
    with pytest.raises(BadRecord, match=r"transductive-smoke-base-s0\.json (is no|has no|lacks) .* run its cell again"):
        runs(results)
    broken: list[UserError] = []
    assert [key for key, _ in results.records(broken)] == ["blobs/pixels_kmeans/transductive-smoke-base-s1"]
    assert len(broken) == 1
    assert [one.key for one in work([cell()], results, Cache(tmp_path)).train] == [cell().key]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", True),
        ("seed", -1),
        ("seed", 0.0),
        ("method", "../dec"),
        ("variant", "base\n"),
        ("state", "fine"),
        ("state", ["ok"]),
        ("flags", "collapsed"),
        ("told", [1]),
        ("told", ["\ud800"]),
        ("scores", {"acc": "0.9"}),
        ("scores", {"acc": 10**400}),
        ("cost", None),
        ("k_used", 10.5),
        ("environment", {"cpu": "x"}),
        ("contingency", [[0, 1]]),
        ("parts", [None]),
        ("changes", []),
        ("reason", "\ud800"),
    ],
)
def test_what_a_table_reads_must_be_of_its_kind(name: str, value: Any) -> None:
    """A field of another kind than the tables and plans expect is named before it does harm."""
    with pytest.raises(BadRecord, match=f"for '{name}'|no JSON text"):
        decode(json.dumps({**json.loads(OK.read_text(encoding="utf-8")), name: value}).encode())


def test_the_largest_number_can_be_written_again() -> None:
    """A number near the largest that is read is not rounded past it when the record is written."""
    record = json.loads(OK.read_text(encoding="utf-8"))
    for number in (8999999999999999.0, 9e15):
        record["cost"]["cpu_seconds"] = number
        assert decode(canonical_json(decode(json.dumps(record).encode())).encode())["cost"]["cpu_seconds"] == 9e15


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_is_finite(number: str) -> None:
    """NaN and infinities, which JSON doesn't know or can't hold, are no scores."""
    text = OK.read_text(encoding="utf-8")
    with pytest.raises(BadRecord):
        decode(text.replace('"acc": 0', f'"acc": {number}, "x": 0', 1).encode())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_record_can_be_read_without_its_table(path: Path) -> None:
    """Read without its contingency, a record is the same but for that, however it was written."""
    whole = path.read_bytes()
    for content in (whole, json.dumps(json.loads(whole)).encode(), json.dumps(json.loads(whole), indent=4).encode()):
        less = decode(without_table(content))
        assert {**less, "contingency": 0} == {**decode(whole), "contingency": 0}
    assert decode(without_table(whole))["contingency"] == []
    with pytest.raises(BadRecord):
        decode(without_table(whole[: whole.index(b"contingency") + 60]))
