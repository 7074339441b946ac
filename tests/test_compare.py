"""Comparing two states of the records: new, gone, moved by more than noise, and whether the code explains it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_report import record
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.ground.errors import UserError
from benchmark.plan import Cell
from benchmark.report.compare import compare, results_of, text
from benchmark.store import ROOT, Results

KEY = ("digits", "dec", "base", "transductive", "quick")


def put(place: Results, accs: list[float | None], *, method: str = "dec", **changes: Any) -> Results:
    """Records of seeds 0, 1, … on digits."""
    for seed, acc in enumerate(accs):
        cell = Cell(method, "digits", "transductive", "quick", seed)
        place.write(cell.key, {**record(cell, acc=acc, state="ok" if acc is not None else "failed"), **changes})
    return place


@pytest.fixture
def old(tmp_path: Path) -> Results:
    """Five seeds of DEC."""
    return put(Results(tmp_path / "old"), [0.80, 0.81, 0.82, 0.83, 0.84])


@pytest.fixture
def new(tmp_path: Path) -> Results:
    """An empty folder."""
    return Results(tmp_path / "new")


def moved(old: Results, new: Results) -> dict[str, bool]:
    """score -> whether it is explained, of what moved."""
    return {move.score: move.explained for move in compare(old, new).moved}


def test_the_same_records_are_the_same(old: Results) -> None:
    """A folder beside itself: nothing changed."""
    assert compare(old, old).nothing
    assert text(compare(old, old)) == "No record changed.\n"


def test_noise_is_no_move(old: Results, new: Results) -> None:
    """Differences by seed whose interval covers 0 are noise; the same size in one direction is a move."""
    put(new, [0.801, 0.809, 0.821, 0.829, 0.841])
    assert moved(old, new) == {}
    put(new, [0.801, 0.811, 0.8212, 0.831, 0.841])
    assert moved(old, new) == {"acc": False, "nmi": False}


def test_code_explains_a_move(old: Results, new: Results) -> None:
    """With another fit fingerprint, or another fingerprint of that score alone, a move is explained."""
    put(new, [0.9] * 5, fit_fingerprint="another")
    found = compare(old, new)
    assert ({move.explained for move in found.moved}, found.refitted, found.unexplained) == ({True}, {KEY}, [])
    put(new, [0.9] * 5, score_fingerprints={"nmi": "another"})
    assert moved(old, new) == {"acc": False, "nmi": True}


def test_one_forged_seed_is_found(old: Results, new: Results) -> None:
    """A seed whose score jumped without a reason doesn't hide behind the others, though the interval covers 0."""
    put(new, [0.80, 0.81, 0.82, 0.83, 0.99])
    assert moved(old, new) == {"acc": False, "nmi": False}


def test_below_three_seeds_any_change_is_a_move(tmp_path: Path) -> None:
    """With two seeds there is no interval, so the last digit counts, but not beyond what records keep."""
    one, two, three = (Results(tmp_path / name) for name in "abc")
    put(one, [0.8, 0.8]), put(two, [0.8, 0.80001]), put(three, [0.8, 0.8000001])
    assert moved(one, two) == {"acc": False, "nmi": False}
    assert moved(one, three) == {}


def test_new_gone_and_failed_cells_are_named(old: Results, new: Results) -> None:
    """Seeds and methods that came or went, and cells whose state changed, are in the text; ranks stand before and after."""
    put(old, [0.5] * 3, method="gmm")
    put(new, [0.80, 0.81, 0.82, None])
    put(new, [0.9] * 3, method="ward")
    found = compare(old, new)
    assert found.new == {("digits", "ward", *KEY[2:]): [0, 1, 2]}
    assert found.gone == {KEY: [4], ("digits", "gmm", *KEY[2:]): [0, 1, 2]}
    assert found.states == [("digits/dec/base/transductive/quick seed 3", "ok", "failed")]
    assert found.ranks["quick"] == (["dec", "gmm"], ["ward", "dec"])
    said = text(found)
    assert "ok → failed" in said
    assert "| ward |  | 1 |" in said
    assert "| dec | 1 | 2 |" in said


def test_command_fails_on_what_no_code_explains(old: Results, new: Results, tmp_path: Path) -> None:
    """--fail-on-unexplained is exit code 1 for a score without a reason, 0 for one with; --markdown adds to a file."""
    put(new, [0.9] * 5)
    names, out = ["compare", str(old.root), str(new.root), "--fail-on-unexplained"], tmp_path / "summary.md"
    out.write_text("before\n")
    assert CliRunner().invoke(app, [*names, "--markdown", str(out)]).exit_code == 1
    assert out.read_text().startswith("before\n")
    assert "### Moved though the code did not" in out.read_text()
    put(new, [0.9] * 5, fit_fingerprint="another")
    done = CliRunner().invoke(app, names)
    assert done.exit_code == 0
    assert "### Moved with the code" in done.output


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no git checkout")
def test_a_commit_is_read_from_git(tmp_path: Path) -> None:
    """A commit's records are those of its tree; what is no folder and no commit is an error in words."""
    with results_of("HEAD") as committed:
        keys = [key for key, _ in committed.files()]
    assert "digits/dec/transductive-quick-base-s0" in keys
    for name in ("nowhere", "--help", "HEAD:README.md"):
        with pytest.raises(UserError, match="neither a folder nor a commit"), results_of(name):
            pass
    with pytest.raises(UserError, match="holds no records"), results_of(str(tmp_path)):
        pass


def test_records_carry_no_markup_into_the_text(old: Results, new: Results) -> None:
    """A name in a record is a slug, so that neither path nor table can be broken through it."""
    path = old.path("digits/dec/transductive-quick-base-s0")
    path.write_text(json.dumps({**json.loads(path.read_text()), "method": "<script>"}))
    with pytest.raises(UserError, match="method"):
        compare(old, new)
