"""The command line as a user meets it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.store import ROOT, Results

pytestmark = pytest.mark.xdist_group("cli")  # one copy of the checkout serves them all
README = (ROOT / "README.md").read_text(encoding="utf-8")


def call(*words: str, cwd: Path = ROOT, cache: Path | None = None) -> subprocess.CompletedProcess[str]:
    """run_all.py with these words, in a process of its own."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("BLINDBENCH")}
    env["BLINDBENCH_CACHE"] = str(cache or cwd / "no-cache")
    return subprocess.run([sys.executable, "run_all.py", *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=250)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "--methods", "scna"], "no method 'scna'; did you mean"),
        (["run", "--datasets", "mnits"], "no dataset 'mnits'; did you mean 'mnist'"),
        (["run", "--suite", "quik"], "no suite 'quik'; did you mean 'quick'"),
        (["run", "--set", "dec=3"], "is not METHOD.FIELD=VALUE"),
        (["run", "--data", "/no/such/folder"], "the data folder '/no/such/folder' is not there"),
        (["run", "--executor", "cloud"], "no executor 'cloud'"),
        (["run", "--device", "gpu", "--dry-run"], "no device 'gpu'"),
        (["run", "--methods", "dec", "--set", "ae_kmeans.lr=0.5"], "not among the chosen methods"),
        (["run", "--methods", "dec", "--set", "dec.lr=0.5", "--variant", "base"], "can't be variant 'base'"),
        (["show", "deck"], "no method, dataset, metric or suite 'deck'; did you mean 'dec'"),
        (["list", "method"], "no room 'method'; did you mean 'methods'"),
        (["new", "method", "two words"], "can't be a name"),
        (["new", "method", "dec"], "there is a method 'dec' already"),
        (["new", "method", "labels"], "can't be a name"),
        (["new", "method", "fine", "--family", "registry"], "can't be a name"),
        (["data", "get", "nothing"], "no dataset 'nothing'"),
        (["frobnicate"], "No such command 'frobnicate'"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], said: str) -> None:
    """A wrong word is one line that says what was wrong and what is there; exit code 2, no traceback."""
    done = call(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--help"], "reproduces the"),
        (["list"], "ae_kmeans"),
        (["list", "datasets"], "development"),
        (["list", "metrics"], "linear_probe"),
        (["list", "suites"], "image28"),
        (["show", "dec"], "1511.06335"),
        (["show", "usps"], "9298"),
    ],
)
def test_looking_things_up(words: list[str], said: str) -> None:
    """Lists and cards come from the command line, and none of it needs data."""
    done = call(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert said in done.stdout


@pytest.mark.parametrize("words", [["list"], ["--help"]])
def test_listing_is_quick(words: list[str]) -> None:
    """`list` and `--help` take under a second of processor time."""
    before, best = os.times(), 9.0
    for _ in range(2):
        call(*words)
        after = os.times()
        best = min(best, after.children_user + after.children_system - before.children_user - before.children_system)
        before = after
    assert best < 1.0


def test_doctor_says_what_is_here() -> None:
    """`doctor` names versions, limits and datasets."""
    done = call("doctor")
    assert done.returncode == 0
    for word in ("torch", "limits, quick", "dataset usps", "memory"):
        assert word in done.stdout


def test_dry_run_trains_nothing(tmp_path: Path) -> None:
    """`--dry-run` lists the cells, parts first, and writes nothing."""
    done = call("run", "--methods", "dec", "--datasets", "digits", "--seeds", "1", "--dry-run", "--results", str(tmp_path / "r"))
    assert "2 cells to train" in done.stdout
    assert done.stdout.index("ae_kmeans") < done.stdout.index("digits/dec")
    assert not (tmp_path / "r").exists()


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout that may be written to."""
    target = tmp_path_factory.mktemp("clone") / "blindbench"
    ignore = shutil.ignore_patterns("__pycache__", ".*_cache", "local", ".git", ".venv", ".hypothesis")
    shutil.copytree(ROOT, target, ignore=ignore)
    return target


def contract_tests(clone: Path, method: str) -> int:
    """Runs a method's contract tests in the copy; how many passed, none having failed."""
    words = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-k", method, "tests/contract/test_methods.py"]
    tested = subprocess.run(words, cwd=clone, capture_output=True, text=True, timeout=250)
    assert tested.returncode == 0, tested.stdout
    return int(re.search(r"(\d+) passed", tested.stdout)[1])  # type: ignore[index]


def test_readme_s_method_works_word_by_word(clone: Path) -> None:
    """The method in the README, saved where it says, is trained, scored, put on the board, and passes the contract tests."""
    path = re.search(r"Save this as `(.+?)`", README)
    code = re.search(r"```python\n(.*?)```", README, re.S)
    command = re.search(r"uv run run_all\.py (run --methods sixteen_axes.*)", README)
    assert path
    assert code
    assert command
    (clone / path[1]).parent.mkdir(parents=True, exist_ok=True)
    (clone / path[1]).write_text(code[1], encoding="utf-8")
    assert len(code[1].strip().splitlines()) <= 12

    done = call(*command[1].split(), cwd=clone, cache=clone.parent / "cache")
    assert done.returncode == 0, done.stderr
    records = dict(Results(clone / "results/v1").records())
    mine = [record for key, record in records.items() if key.startswith("digits/sixteen_axes/")]
    assert [record["state"] for record in mine] == ["ok"] * 3
    assert all(0.2 < record["scores"]["acc"] <= 1 for record in mine)
    assert "sixteen_axes" in (clone / "leaderboard.md").read_text(encoding="utf-8")
    shown = [line for line in README.splitlines() if line.strip().startswith("digits ") and "sixteen_axes" in line]
    printed = [line for line in done.stdout.splitlines() if line.startswith("digits") and "sixteen_axes" in line]
    assert len(shown) == 3, "the README shows what the command prints"
    for said, done_now in zip(shown, sorted(printed), strict=True):
        assert said.split()[:4] == done_now.split()[:4]
        scores = [[float(word) for word in line.split()[5:10:2]] for line in (said, done_now)]
        assert scores[1] == pytest.approx(scores[0], abs=0.02)

    assert contract_tests(clone, "sixteen_axes") >= 8


def test_the_method_on_views_works_word_by_word(tmp_path: Path) -> None:
    """The method in docs/views.md, saved where it says, is trained by the command below it."""
    text = (ROOT / "docs" / "views.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.S)
    command = re.search(r"uv run run_all\.py (run --plugin .*)", text)
    assert code
    assert command
    path = tmp_path / "spectral_contrast.py"
    path.write_text(code[1], encoding="utf-8")
    words = [{"quick": "smoke", path.name: str(path)}.get(word, word) for word in command[1].split()]
    done = call(*words, "--results", str(tmp_path / "results"), "--seeds", "1", cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    (record,) = (record for _, record in Results(tmp_path / "results").records())
    assert (record["state"], len(record["curve"]["effective_rank"])) == ("ok", 2)


def test_skeleton_passes_the_contract(clone: Path) -> None:
    """`new method NAME` writes a file that passes the contract tests and the linter before anything is filled in."""
    done = call("new", "method", "brandnew", cwd=clone)
    assert done.returncode == 0, done.stderr
    assert (clone / "methods/community/brandnew.py").is_file()
    assert contract_tests(clone, "brandnew") >= 8
    linted = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "methods/community/brandnew.py"], cwd=clone, capture_output=True, text=True
    )
    assert linted.returncode == 0, linted.stdout


def test_check_fails_where_a_file_is_out_of_date(clone: Path) -> None:
    """`leaderboard --check` names a file that is not what it would be today and exits with 1; `leaderboard` mends it."""
    call("leaderboard", cwd=clone)
    assert call("leaderboard", "--check", cwd=clone).returncode == 0
    board = clone / "leaderboard.md"
    current = board.read_text(encoding="utf-8")
    board.write_text(current + "by hand\n", encoding="utf-8")
    done = call("leaderboard", "--check", cwd=clone)
    assert (done.returncode, done.stdout.count("out of date"), "out of date: leaderboard.md" in done.stdout) == (1, 1, True)
    call("leaderboard", cwd=clone)
    assert call("leaderboard", "--check", cwd=clone).returncode == 0
    assert board.read_text(encoding="utf-8") == current


def test_benchmark_run_gives_a_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`benchmark.run` trains what is chosen and returns one row a record; a second call trains nothing."""
    import benchmark

    monkeypatch.setenv("BLINDBENCH_CACHE", str(tmp_path / "cache"))
    choice = {"methods": ["chance"], "datasets": ["digits"], "seeds": 2, "budget": "smoke", "results": tmp_path / "r", "jobs": 1}
    frame = benchmark.run(**choice)
    assert list(frame.state) == ["ok", "ok"]
    assert frame.acc.between(0.1, 0.2).all()
    began = time.monotonic()
    again = benchmark.run(**choice)
    assert time.monotonic() - began < 5
    assert again.equals(frame)
