"""Results made elsewhere: rows are matched, scores are those of a fit, and what doesn't fit is refused in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.ground.errors import UserError
from benchmark.ground.files import load_array
from benchmark.plan import load_suite
from benchmark.report.board import Board
from benchmark.report.markdown import leaderboard, overview
from benchmark.report.tables import freshness
from benchmark.runner import Bench, Settings
from benchmark.store import Cache, Results, unpack
from benchmark.submit import Claim, admit, export, score
from benchmark.verify import verify
from datasets.prepare import permutation, prepare, read
from datasets.source import Source

CLAIM = Claim("theirs", "digits", 0, budget="quick", title="A <b>title</b> | x", url="https://example.org/a)b")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A bench with results and a cache of its own."""
    root = tmp_path_factory.mktemp("submit")
    with Bench.open(Settings(Results(root / "results"), Cache(root / "cache"))) as opened:
        yield opened


@pytest.fixture
def settings(bench: Bench) -> Settings:
    """Those of the bench."""
    return bench.settings


def canonical(prepared: np.ndarray) -> np.ndarray:
    """Rows of digits in prepared order, brought back into that of the official file."""
    found = np.empty_like(prepared)
    found[permutation("digits", len(prepared))] = prepared
    return found


@pytest.fixture
def write(settings: Settings, tmp_path: Path) -> Callable[..., Path]:
    """Writes a submission with the right content hash; a committed run's assignments where none are given."""
    content = prepare("digits", cache=settings.cache.root).inputs_address

    def made(**arrays: Any) -> Path:
        np.savez(tmp_path / "given.npz", **{"content": np.array(content), **arrays})
        return tmp_path / "given.npz"

    return made


def committed(seed: int = 0) -> tuple[dict[str, Any], np.ndarray]:
    """A committed record of k-means on the pixels of digits, and its assignments in canonical order."""
    key = f"digits/pixels_kmeans/transductive-quick-base-s{seed}"
    record = Results.committed().read(key)
    assert record is not None
    return record, canonical(unpack(Results.committed().path(key).with_suffix(".npz").read_bytes()))


def test_exported_rows_are_those_of_the_official_file(settings: Settings, tmp_path: Path) -> None:
    """The exported inputs are the loader's arrays in their own order; no label is among them."""
    assert export("digits", tmp_path / "out.npz", cache=settings.cache.root) == 1797
    with np.load(tmp_path / "out.npz") as stored:
        found = {name: stored[name] for name in stored.files}
    assert set(found) == {"x", "content", "dataset"}
    assert np.array_equal(found["x"], read("digits", Source(None, settings.cache.root, name="digits")).inputs)


def test_outputs_of_a_run_get_the_scores_of_that_run(bench: Bench, settings: Settings, write: Callable[..., Path]) -> None:
    """k-means' own assignments and pixels, handed in, get its scores, a sound record, and an unranked row."""
    ours, assign = committed()
    found = prepare("digits", cache=settings.cache.root)
    pixels = canonical(load_array(found.inputs / "x.npy")).reshape(found.n, -1).astype(np.float32) / np.float32(255)
    made = score(admit(write(assign=assign, embedding=pixels), CLAIM, settings), bench)
    written = settings.results.read("digits/theirs/transductive-quick-base-s0") or {}
    from_table = ("acc", "nmi", "ami", "ari", "purity", "homogeneity", "completeness", "macro_f1", "clusters_used", "acc_chance")
    assert {name: written["scores"][name] for name in from_table} == {name: ours["scores"][name] for name in from_table}
    assert written["contingency"] == ours["contingency"]
    for name in ("knn", "knn_5", "knn_200", "linear_probe"):
        assert written["scores"][name] == pytest.approx(ours["scores"][name], abs=1e-4)
    assert (made["flags"], made["environment"]["device"], made["clusters_by"]) == (["self_reported"], "elsewhere", "method")
    assert freshness(written) == "fresh"
    assert freshness({**written, "submitted": {**written["submitted"], "arrays": {"assign": "0" * 32}}}) == "stale"
    assert [str(problem) for problem in verify(settings.results, settings.cache).problems] == []
    board, suite = Board.of(settings.results), load_suite("quick")
    assert board.kind(suite, ("theirs", "base")) == "self_reported"
    assert board.competing(suite) == []
    assert "***Self-reported fits, unranked***" in overview(board, suite)
    assert "**" not in overview(board, suite).replace("***", "")
    assert "*(self-reported fit)*" in leaderboard(board)
    assert "[theirs](https://example.org/a%29b)" in leaderboard(board)
    with pytest.raises(UserError, match="--accept"):
        admit(write(assign=(assign + 1) % 10), CLAIM, settings)
    assert settings.results.read("digits/theirs/transductive-quick-base-s0") == written


def test_rows_in_another_order_score_otherwise(bench: Bench, settings: Settings, write: Callable[..., Path]) -> None:
    """The same assignments in prepared order are worth nothing: the order of rows matters, and is the documented one."""
    ours, assign = committed()
    made = score(admit(write(assign=assign[permutation("digits", len(assign))]), replace(CLAIM, seed=1), settings), bench)
    assert made["scores"]["ari"] < 0.05 < ours["scores"]["ari"]


def test_clusters_of_an_embedding_are_made_here(bench: Bench, settings: Settings, write: Callable[..., Path]) -> None:
    """An embedding alone is clustered by k-means with the seed, as that of any method; k is told, whatever the claim says."""
    angle = np.linspace(0, 1, 1797)[:, None]
    made = score(admit(write(embedding=np.hstack([angle, angle**2])), Claim("theirs", "digits", 3, told=()), settings), bench)
    assert (made["clusters_by"], made["told"], made["k_used"]) == ("kmeans", ["k"], 10)


N = 1797
BAD = {
    "the wrong number of rows": ({"assign": np.zeros(5, np.int64)}, "1,797 rows"),
    "no integers": ({"assign": np.zeros(N)}, "integers"),
    "beyond k": ({"assign": np.full(N, 10)}, "up to 10"),
    "below −1": ({"assign": np.full(N, -2)}, "down to -2"),
    "not finite": ({"embedding": np.full((N, 2), np.nan)}, "not finite"),
    "no numbers": ({"embedding": np.full((N, 2), "a")}, "allowed: numbers"),
    "one axis": ({"embedding": np.zeros(N)}, "shape"),
    "no sum of 1": ({"assign": np.zeros(N, np.int64), "soft": np.zeros((N, 10))}, "sum to"),
    "nothing": ({"soft": np.full((N, 10), 0.1)}, "neither"),
    "another name": ({"assign": np.zeros(N, np.int64), "labels": np.zeros(N)}, "'labels'"),
    "other inputs": ({"assign": np.zeros(N, np.int64), "content": np.array("0" * 64)}, "data export digits"),
    "pickled objects": ({"assign": np.full(N, None)}, "plain arrays"),
    "a scalar": ({"assign": np.array(3)}, "shape"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_does_not_fit_is_refused(settings: Settings, write: Callable[..., Path], what: str) -> None:
    """A file that is off is refused in words that say how, and leaves no record."""
    arrays, word = BAD[what]
    with pytest.raises(UserError, match=word):
        admit(write(**arrays), replace(CLAIM, method="off"), settings)
    assert settings.results.read("digits/off/transductive-quick-base-s0") is None


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"method": "dec"}, "is a method of this project"),
        ({"method": "../x"}, "can't be a name"),
        ({"dataset": "digitz"}, "digits"),
        ({"track": "inductive"}, "no inductive track"),
        ({"track": "sideways"}, "transductive"),
        ({"budget": "huge"}, "full"),
        ({"told": ["kk"]}, "k"),
        ({"url": "javascript:alert(1)"}, "https"),
        ({"title": "a\nb"}, "one line"),
        ({"authors": "a" * 301}, "at most 300"),
    ],
)
def test_a_claim_is_checked(settings: Settings, write: Callable[..., Path], changes: dict[str, Any], word: str) -> None:
    """Names, tracks, words and addresses that are off are refused before anything is scored."""
    with pytest.raises(UserError, match=word):
        admit(write(assign=np.zeros(N, np.int64)), Claim(**{**vars(CLAIM), **changes}), settings)


def test_no_archive_is_an_error_in_words(settings: Settings, tmp_path: Path) -> None:
    """A text file, and no file, are refused in a sentence."""
    (tmp_path / "a.npz").write_text("hello")
    for name in ("a.npz", "b.npz"):
        with pytest.raises(UserError, match="can't be read"):
            admit(tmp_path / name, CLAIM, settings)
