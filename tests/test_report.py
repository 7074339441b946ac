"""Tables and boards: what the numbers say, and that generated files are current."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import datasets
import methods
import metrics
from benchmark.api import stale_files
from benchmark.plan import Cell, load_suite
from benchmark.provenance import score_fingerprints
from benchmark.report.beside import bases, beside, difference
from benchmark.report.board import Board
from benchmark.report.fresh import Today
from benchmark.report.markdown import BEGIN, END, details, leaderboard, overview
from benchmark.report.marks import score
from benchmark.report.published import published, reproduction, verdict
from benchmark.report.quick import quick_beside_full
from benchmark.report.same_features import same_features
from benchmark.report.tables import agreement, freshness, groups, runs, summary
from benchmark.report.unknown_k import unknown_k
from benchmark.store import ROOT, Results


def record(cell: Cell, *, acc: float | None, state: str = "ok", flags: tuple[str, ...] = ()) -> dict[str, Any]:
    """A record as the runner would write it, with a score of our choice."""
    return {
        "schema": 1,
        **{name: getattr(cell, name) for name in ("method", "variant", "dataset", "track", "budget", "seed")},
        "state": state,
        "flags": list(flags),
        "told": ["k"],
        "k_used": 10,
        "changes": {},
        "fit_fingerprint": cell.fit_fingerprint,
        "scores": {} if acc is None else {"acc": acc, "nmi": acc / 2},
        "oracle_gap": {"acc": 0.01},
        "cost": {"wall_seconds": 2.0, "cpu_seconds": 1.5},
        "parts": [part.fit_fingerprint for part in cell.parts.values()],
        "environment": {"device": "cpu"},
    }


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Five seeds of DEC on digits, one of them failed; three of k-means, one on stale code; one of chance."""
    place = Results(tmp_path)
    for seed, acc in enumerate([0.80, 0.82, 0.84, 0.86, None]):
        cell = Cell("dec", "digits", "transductive", "quick", seed)
        place.write(cell.key, record(cell, acc=acc, state="ok" if acc else "failed"))
    for seed in range(3):
        cell = Cell("pixels_kmeans", "digits", "transductive", "quick", seed)
        made = record(cell, acc=0.7)
        place.write(cell.key, {**made, "fit_fingerprint": "old"} if seed == 1 else made)
    cell = Cell("gmm", "digits", "transductive", "quick", 0)
    place.write(cell.key, record(cell, acc=0.6, flags=("collapsed",)))
    return place


def test_a_failure_is_no_zero(results: Results) -> None:
    """A failed seed is left out of the mean, and the mean says that it is incomplete."""
    group = groups(runs(results))[("digits", "dec", "base", "transductive", "quick")]
    assert group.mean("acc") == pytest.approx(0.83)
    assert group.std("acc") == pytest.approx(0.0258199)
    assert score(group, "acc") == "83.0 ± 2.6 4/5"


def test_a_method_stands_beside_its_base(results: Results) -> None:
    """The differences are paired by seed; without three sound seeds on both sides nothing is said."""
    suite = load_suite("quick")
    assert beside(Board.of(results), suite, "digits") == ""
    for seed, acc in enumerate([0.70, 0.73, 0.73, 0.75, 0.1]):
        assert beside(Board.of(results), suite, "digits").count("dec − ae_kmeans") == (seed > 2)
        cell = Cell("ae_kmeans", "digits", "transductive", "quick", seed)
        results.write(cell.key, record(cell, acc=acc))
    assert "| dec − ae_kmeans | part | **+10.2** [8.7, 11.8] |" in beside(Board.of(results), suite, "digits")


def test_what_quick_loses_is_said_once_three_seeds_have_both_budgets(results: Results) -> None:
    """Quick less full, and the ratio of their costs; a row without `full` isn't there, nor a suite of another budget."""
    suite = replace(load_suite("quick"), budget="full")
    assert quick_beside_full(Board.of(results), suite) == ""
    for seed, acc in enumerate([0.90, 0.93, 0.93]):
        assert quick_beside_full(Board.of(results), suite) == ""
        for budget, less, seconds in (("full", 0.0, 6.0), ("quick", 0.1, 1.5)):
            cell = Cell("ae_kmeans", "digits", "transductive", budget, seed)
            results.write(cell.key, {**record(cell, acc=acc - less), "cost": {"wall_seconds": 9.0, "cpu_seconds": seconds}})
    (line,) = (line for line in quick_beside_full(Board.of(results), suite).splitlines() if line.startswith("| digits"))
    assert line.split(" | ")[2:] == ["**-10.0** [-10.0, -10.0]", "**-5.0** [-5.0, -5.0]", "", "", "4.0 |"]
    assert quick_beside_full(Board.of(results), load_suite("quick")) == ""


def test_rows_that_found_k_are_ordered_by_how_far_off_it_is(results: Results) -> None:
    """k̂ is the mean of what was found, but its error is that of each seed: 8 and 12 are off by 2, not by 0."""
    suite = load_suite("quick")
    assert unknown_k(Board.of(results), suite) == ""
    for method, found in (("leiden", (8, 12)), ("hdbscan", (11, 11))):
        for seed, k in enumerate(found):
            cell = Cell(method, "digits", "transductive", "quick", seed)
            results.write(cell.key, {**record(cell, acc=0.7), "told": [], "k_used": k})
    lines = [line.split(" | ") for line in unknown_k(Board.of(results), suite).splitlines() if line.startswith("| digits")]
    assert [(line[1].split("]")[0], *line[2:5]) for line in lines] == [
        ("[hdbscan", "10", "11.0 ± 0.0", "1.0"),
        ("[leiden", "10", "10.0 ± 2.8", "2.0"),
    ]


def test_methods_on_the_same_features_stand_together(results: Results) -> None:
    """Best first, the part itself among them, with the gain over k-means where three seeds have both."""
    for name, accs in {"simclr": (0.7, 0.72, 0.74), "turtle": (0.90, 0.93, 0.95), "dec": (0.8, 0.8, 0.8)}.items():
        for seed, acc in enumerate(accs):
            cell = Cell(name, "mnist-test", "transductive", "full", seed)
            results.write(cell.key, record(cell, acc=acc))
    lines = [line for line in same_features(Board.of(results)).splitlines() if line.startswith("| ")][2:]
    assert [line.split(" | ")[2] for line in lines] == ["**+20.7** [19.2, 22.1]", ""]
    assert ["turtle" in lines[0], "simclr" in lines[1]] == [True, True]


def test_differences_are_paired(results: Results) -> None:
    """The mean of the differences by seed, with Student's interval; bold where it leaves out 0; nothing of stale rows."""
    for method, scores in (("gmm", [0.70, 0.72, 0.74]), ("ward", [0.60, 0.63, 0.63]), ("spectral", [0.70, 0.73, 0.73])):
        for seed, acc in enumerate(scores):
            cell = Cell(method, "digits", "transductive", "quick", seed)
            results.write(cell.key, record(cell, acc=acc))
    found = groups(runs(results))
    gmm, ward, spectral, pixels = (
        found[("digits", name, "base", "transductive", "quick")] for name in ("gmm", "ward", "spectral", "pixels_kmeans")
    )
    assert difference(gmm, ward, "acc") == "**+10.0** [7.5, 12.5]"  # t(2) · 0.01 / √3 = 0.0248
    assert difference(gmm, spectral, "acc") == "0.0 [-2.5, 2.5]"
    assert difference(gmm, pixels, "acc") == difference(gmm, ward, "knn") == ""


def test_what_a_row_builds_on() -> None:
    """The method it varies, its part or the part its variant names, and for methods on views random weights and pixels."""
    floor = [("random weights", "random_encoder"), ("pixels", "pixels_kmeans")]
    assert bases(("kernel_infonce", "base")) == [("one thing", "simclr"), *floor]
    assert bases(("dec", "base")) == [("part", "ae_kmeans")]
    assert bases(("dec", "on-vae-kmeans")) == [("part", "vae_kmeans")]
    for name in ("supervised_ceiling", "gmm", "nobody", "dec_da"):
        assert bases((name, "base")) == []


def test_interval_is_student_t(results: Results) -> None:
    """The interval over four seeds uses t at three degrees of freedom."""
    low, high = groups(runs(results))[("digits", "dec", "base", "transductive", "quick")].interval("acc") or (0, 0)
    assert (high - low) / 2 == pytest.approx(3.18245 * 0.0258199 / 2, rel=1e-4)


def test_marks(results: Results) -> None:
    """A stale seed, a single seed and a collapse are marked."""
    found = groups(runs(results))
    assert score(found[("digits", "pixels_kmeans", "base", "transductive", "quick")], "acc") == "70.0 ± 0.0 †"
    assert score(found[("digits", "gmm", "base", "transductive", "quick")], "acc") == "60.0 n=1 ○"
    assert score(None, "acc") == ""


def test_bounds_come_first_and_the_rest_by_score(results: Results) -> None:
    """Bounds stand apart at the top; the others are ordered by mean rank in ACC."""
    board = Board.of(results)
    assert [name for name, _ in board.rows(load_suite("quick"))] == ["pixels_kmeans", "dec", "gmm"]
    assert overview(board, load_suite("quick")).index("*") < overview(board, load_suite("quick")).index("dec")


def test_an_incomplete_row_stands_behind_the_ranked_ones(results: Results) -> None:
    """A method with a result on one of two datasets takes no part in the ranks, however good that result is."""
    for method, acc in (("dec", 0.2), ("gmm", 0.3)):
        cell = Cell(method, "shapes", "transductive", "quick", 0)
        results.write(cell.key, record(cell, acc=acc))
    cell = Cell("ward", "digits", "transductive", "quick", 0)
    results.write(cell.key, record(cell, acc=0.99))
    cell = Cell("dec", "shapes", "transductive", "quick", 1)
    results.write(cell.key, record(cell, acc=0.5))
    assert [name for name, _ in Board.of(results).rows(load_suite("quick"))] == ["pixels_kmeans", "dec", "gmm", "ward"]


def test_cost_includes_the_parts(results: Results) -> None:
    """A cell's processor time is its own and its parts'; without the part's record it is unknown."""
    assert runs(results).set_index(["method", "seed"]).total_cpu_seconds.isna()["dec", 0]
    part = Cell("ae_kmeans", "digits", "transductive", "quick", 0)
    results.write(part.key, record(part, acc=0.5))
    table = runs(results).set_index(["method", "seed"]).total_cpu_seconds
    assert (table["dec", 0], table["ae_kmeans", 0]) == (3.0, 1.5)


def test_summary_counts_what_is_owed(results: Results) -> None:
    """The summary has one row a group, with scored and owed seeds."""
    table = summary(runs(results)).set_index("method")
    assert (table.loc["dec", "seeds_ok"], table.loc["dec", "seeds"], table.loc["dec", "states"]) == (4, 5, "failed")
    assert bool(table.loc["pixels_kmeans", "stale"])


def test_board_is_a_function_of_its_records(results: Results) -> None:
    """The same records give the same text."""
    assert leaderboard(Board.of(results)) == leaderboard(Board.of(results))
    assert "4/5" in details(Board.of(results), load_suite("quick"), "digits")
    assert "- digits / dec / transductive quick / seed 4: failed" in leaderboard(Board.of(results))


def test_agreement_names_what_differs(results: Results, tmp_path: Path) -> None:
    """Records agree exactly, within tolerance, or differ; one without a counterpart is said to be new."""
    other = Results(tmp_path / "other")
    for seed, acc in enumerate([0.80, 0.83, 0.9]):
        cell = Cell("dec", "digits", "transductive", "quick", seed)
        other.write(cell.key, record(cell, acc=acc))
    table = agreement(results.records(), other).set_index("cell")
    verdicts = [table.loc[f"digits/dec/transductive-quick-base-s{seed}", "agrees"] for seed in range(4)]
    assert verdicts == ["exactly", "within tolerance", "differs", "not committed"]


def test_verdicts(results: Results) -> None:
    """A verdict needs five seeds and a mean of the paper; other kinds stand in brackets; a wide undecided one owes ten."""
    for seed, acc in ((4, 0.83), (5, 0.831)):
        cell = Cell("dec", "digits", "transductive", "quick", seed)
        results.write(cell.key, record(cell, acc=acc))
    key = ("digits", "dec", "base", "transductive", "quick")
    table = runs(results)
    group = groups(table[(table.method == "dec") & (table.seed < 5)])[key]
    assert verdict(group, "acc", 0.80, "mean", "paper") == "meets"
    assert verdict(group, "acc", 0.85, "mean", "authors_code") == "undecided, 10 seeds owed"
    assert verdict(group, "nmi", 0.435, "mean", "authors_code") == "undecided"
    assert verdict(group, "acc", 0.95, "mean", "paper") == "misses"
    assert verdict(group, "acc", 0.80, "mean", "reimplementation") == "(meets)"
    assert verdict(group, "acc", 0.875, "best", "paper") == "(meets)"
    assert verdict(group, "acc", 0.885, "max_over_epochs", "paper") == "(misses)"
    four = groups(table[(table.method == "dec") & (table.seed < 4)])[key]
    assert verdict(four, "acc", 0.1, "mean", "paper") == ""


def test_no_verdict_on_a_stale_or_incomplete_row(results: Results) -> None:
    """A row with a missing or stale seed is compared with nothing."""
    found = groups(runs(results))
    assert verdict(found[("digits", "dec", "base", "transductive", "quick")], "acc", 0.5, "mean", "paper") == ""
    assert verdict(found[("digits", "pixels_kmeans", "base", "transductive", "quick")], "acc", 0.5, "mean", "paper") == ""


def test_reproduction_counts_no_self_reported_row(tmp_path: Path) -> None:
    """A row that was handed in under the name of a published method is not ours to compare."""
    place = Results(tmp_path)
    for seed in range(5):
        cell = Cell("dec", "usps", "transductive", "full", seed)
        place.write(cell.key, record(cell, acc=0.7))
    assert "| dec | usps |" in reproduction(groups(runs(place)))
    for seed in range(5):
        cell = Cell("dec", "usps", "transductive", "full", seed)
        place.write(cell.key, record(cell, acc=0.7, flags=("self_reported",)))
    assert reproduction(groups(runs(place))) == ""


def test_a_changed_metric_makes_a_row_stale(results: Results) -> None:
    """A record whose score fingerprint is no longer today's is stale; one that lacks a newer metric is not."""
    made = results.read("digits/dec/transductive-quick-base-s0") or {}
    assert freshness(made) == "fresh"
    assert freshness({**made, "score_fingerprints": {"acc": "another"}}) == "stale"
    assert freshness({**made, "score_fingerprints": {"a_later_metric": "x"}}) == "fresh"


def test_fingerprints_made_in_one_go_are_those_of_each_cell() -> None:
    """What the board compares with, made once for all seeds, is what a plan gives each cell: parts, other parts, other k."""
    for method, variant in (("dec", "base"), ("dec", "on-ae_kmeans"), ("gmm", "k2x"), ("supervised_ceiling", "base")):
        today = Today()
        for seed in (0, 7):
            cell = Cell(method, "usps", "transductive", "full", seed, variant)
            made = record(cell, acc=0.5)
            scores = score_fingerprints(cell.fit_fingerprint, datasets.card("usps").labels_id)
            assert today.freshness({**made, "score_fingerprints": scores}) == "fresh"
            for other in ({"fit_fingerprint": "0" * 32}, {"seed": seed + 1}, {"score_fingerprints": {**scores, "knn_5": "x"}}):
                assert today.freshness({**made, "score_fingerprints": scores, **other}) == "stale"


def test_the_board_of_many_records_is_quick() -> None:
    """A thousand made-up records are read and tabled in a process of its own, within a hundredth of a second each."""
    words = [sys.executable, str(ROOT / "tests" / "speed" / "boards.py"), "--smoke"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["records"] == 1000


def test_published_keys_are_ours() -> None:
    """Every published row names a method and a dataset that are here or planned, a score of ours, a fraction, and its source."""
    table, planned = published(), pd.read_csv(ROOT / "results" / "planned.csv")
    assert set(planned.kind) == {"method", "dataset"}
    assert not planned.duplicated().any()
    for name, ours in (("method", methods.names()), ("dataset", datasets.names())):
        assert set(table[name]) <= {*ours, *planned[planned.kind == name].name}
        assert set(planned[planned.kind == name].name) <= set(table[name])
    assert set(table.metric) <= set(metrics.names())
    assert set(table.track) <= {"transductive", "inductive"}
    assert table.value.astype(float).between(0, 1).all()
    assert (table.confidence == "verified").all()
    assert not table.kind.eq("suspect").any()
    assert table.source.str.len().min() > 5
    assert not table.duplicated().any()


def test_readme_has_a_place_for_the_board() -> None:
    """The README holds the marks between which the head of the board is written."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.index(BEGIN) < text.index(END)


def test_committed_files_are_current() -> None:
    """leaderboard.md, the tables and the README's board are what today's code makes of the committed records."""
    assert stale_files(Results.committed()) == []


def test_committed_records_are_honest() -> None:
    """Every committed record was made by clean code; test_verify checks what they say."""
    for key, found in Results.committed().records():
        assert not found["dirty"], f"{key} was made by uncommitted code: commit the code, then run its cell with --accept"
