"""A tidy-up costs no retraining, a change of behaviour does: on a small repository of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_report import record

import datasets
from benchmark.plan import Cell
from benchmark.provenance import score_fingerprints
from benchmark.restamp import _Laboratory, _signed, _unlike, smoke_of
from benchmark.store import ROOT, Cache, Results
from benchmark.verify import verify

KEEPS, CHANGES = "pixels_kmeans", "chance"


def key(method: str) -> str:
    """The key of a method's record."""
    return f"blobs/{method}/transductive-quick-base-s0"


def source(method: str) -> str:
    """The file of a method."""
    return f"methods/bounds/{method}.py"


class Repository:
    """A git repository with the program's code in it, and a results folder beside it."""

    def __init__(self, folder: Path) -> None:
        self.code, self.results = folder / "code", folder / "results"
        self.code.mkdir()
        for room in ("benchmark", "methods", "datasets", "metrics"):
            shutil.copytree(ROOT / room, self.code / room, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("run_all.py", ".gitignore"):
            shutil.copy(ROOT / file, self.code)
        self.git("init", "--quiet")

    def git(self, *words: str) -> str:
        """Runs git in the repository; returns what it says."""
        who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
        return subprocess.run(["git", *who, *words], cwd=self.code, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, edits: dict[str, tuple[str, str]] | None = None) -> str:
        """Edits files, (old, new) each, and commits; returns the commit."""
        for file, (old, new) in (edits or {}).items():
            path = self.code / file
            text = path.read_text(encoding="utf-8")
            assert old in text
            path.write_text(text.replace(old, new, 1), encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "change")
        return self.git("rev-parse", "HEAD")

    def call(self, *words: str) -> str:
        """Runs the program; returns what it says."""
        env = {**os.environ, "BLINDBENCH_CACHE": str(self.results.parent / "cache")}
        command = [sys.executable, "run_all.py", *words, "--results", str(self.results)]
        done = subprocess.run(command, cwd=self.code, env=env, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def record(self, method: str) -> dict[str, Any]:
        """A method's record."""
        path = self.results / "records" / f"{key(method)}.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found


@pytest.mark.timeout(600)
def test_a_tidy_up_is_re_signed_and_a_change_is_not(tmp_path: Path) -> None:
    """A comment leaves records fresh; moved code makes one stale until restamp has compared bytes; other bytes stay stale."""
    repository, top = Repository(tmp_path), "from __future__ import annotations\n"
    first = repository.commit()
    chosen = ["--methods", f"{KEEPS},{CHANGES}", "--datasets", "blobs", "--seeds", "1", "--budget", "quick", "--jobs", "1"]
    repository.call("run", *chosen)
    made = {method: repository.record(method) for method in (KEEPS, CHANGES)}
    assert {(record["state"], record["commit"], record["dirty"]) for record in made.values()} == {("ok", first, False)}

    repository.commit(dict.fromkeys(map(source, (KEEPS, CHANGES)), (top, f"# a comment\n{top}")))
    assert repository.call("restamp") == "0 re-signed, 0 stay stale\n"

    second = repository.commit(
        {source(KEEPS): (top, f"{top}\nUNUSED = 1\n"), source(CHANGES): ("run.integer()", "run.integer() + 1")}
    )
    said = repository.call("restamp").splitlines()
    assert said[0].startswith(f"stays stale: {key(CHANGES)}: its smoke cell gives other bytes now: assign of seed 0")
    assert said[1:] == [f"re-signed: {key(KEEPS)}: the bytes agree", "1 re-signed, 1 stay stale"]
    assert repository.record(CHANGES) == made[CHANGES]
    signed = repository.record(KEEPS)
    assert {**signed["restamped"][0], "date": ""} == {"from": first, "to": second, "date": ""}
    assert {name for name in signed if signed[name] != made[KEEPS].get(name)} == {
        "fit_fingerprint",
        "score_fingerprints",
        "restamped",
    }
    assert verify(Results(repository.results), Cache(tmp_path), outputs=False).problems == []
    assert repository.git("worktree", "list").count("\n") == 0
    assert not list((tmp_path / "cache" / "restamp").iterdir())


@pytest.mark.timeout(600)
def test_a_tidied_metric_is_tried_where_outputs_are_left(tmp_path: Path) -> None:
    """Records without outputs are signed where enough others have their values again; none, where one has another value."""
    repository = Repository(tmp_path)
    first = repository.commit()
    repository.call("run", "--methods", KEEPS, "--datasets", "blobs", "--seeds", "3", "--budget", "quick", "--jobs", "1")
    outputs, vote = tmp_path / "cache" / "outputs", "metrics/knn.py"
    shutil.rmtree(outputs / repository.record(KEEPS)["fit_fingerprint"])

    second = repository.commit({"metrics/parts/neighbours.py": ("_SPARE = 24", "_SPARE = 23")})
    said = repository.call("restamp")
    assert "computing scores of 2 records again" in said
    assert said.endswith("3 re-signed, 0 stay stale\n")
    compared = {"knn": 2, "knn_200": 2, "knn_5": 2}
    assert {**repository.record(KEEPS)["restamped"][0], "date": ""} == {
        "from": first,
        "to": second,
        "date": "",
        "compared": compared,
    }

    repository.commit({vote: ("return right / len(indices)", "return right / len(indices) / 2")})
    said = repository.call("restamp")
    assert said.count("gives another value for blobs/") == 3
    assert "the outputs that they need are gone" in said
    assert said.endswith("0 re-signed, 3 stay stale\n")

    repository.commit({vote: ("return right / len(indices) / 2", "return right * 1 / len(indices)")})
    shutil.rmtree(next(outputs.glob("*/fit.json")).parent)
    assert repository.call("restamp").endswith("0 re-signed, 3 stay stale\n"), "one record is not enough"


def today() -> tuple[Cell, dict[str, Any]]:
    """A cell, and a record of it that is fresh."""
    cell = Cell("pixels_kmeans", "blobs", "transductive", "quick", 0)
    made = record(cell, acc=0.75) | {"config": cell.config, "k": cell.k, "commit": "0" * 40, "dirty": False}
    made["contingency"] = [[0, 0, 3], [1, 0, 1]]
    made["scores"] = {"acc": 0.75, "purity": 0.75, "knn": 0.5}
    fingerprints = score_fingerprints(cell.fit_fingerprint, datasets.card("blobs").labels_id)
    made["score_fingerprints"] = {name: fingerprints[name] for name in made["scores"]}
    return cell, made


def test_a_tidied_metric_of_the_table_is_computed_and_compared() -> None:
    """Of metrics whose source changed, those that the table gives again are signed; others need outputs; other labels, all."""
    cell, made = today()
    now = made["score_fingerprints"]
    assert _signed(made, cell) == (now, [])
    tidied = {**made, "score_fingerprints": {**now, "acc": "old"}}
    assert _signed(tidied, cell) == (now, [])
    wrong = {**tidied, "scores": {**made["scores"], "acc": 0.5}}
    assert _signed(wrong, cell) == ({**now, "acc": "old"}, ["acc"])
    embedded = {**made, "score_fingerprints": {**now, "knn": "old"}}
    assert _signed(embedded, cell) == ({**now, "knn": "old"}, ["knn"])
    other_labels = {**made, "score_fingerprints": dict.fromkeys(now, "old")}
    assert _signed(other_labels, cell)[1] == ["acc", "purity", "knn"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"config": {"starts": 3}}, "its config was another one"),
        ({"k": 7}, "its k was another one: 7, today 6"),
        ({"dirty": True}, "made by uncommitted code"),
        ({"commit": None}, "made by uncommitted code"),
        ({"data": {"title": "x"}}, "its data are from outside"),
    ],
)
def test_what_bytes_cannot_show_keeps_a_record_stale(change: dict[str, Any], word: str) -> None:
    """Settings that only the record's budget has, another k, code that nobody has and data from outside are named."""
    cell, made = today()
    assert _unlike(made, cell) is None
    assert word in (_unlike({**made, **change}, cell) or "")


def test_a_new_setting_is_shown_by_a_smoke_cell_that_has_its_value() -> None:
    """A setting that the record lacks does no harm where smoke has today's value of it, and is named where it hasn't."""
    cell = Cell("dec", "blobs", "transductive", "quick", 0)
    made = record(cell, acc=0.75) | {"k": cell.k, "commit": "0" * 40, "dirty": False}

    def lacking(name: str) -> str | None:
        return _unlike({**made, "config": {field: value for field, value in cell.config.items() if field != name}}, cell)

    assert lacking("lr") is None
    assert "'steps' is new, and its smoke cell has 20 for it, not 300" in (lacking("steps") or "")


@pytest.mark.parametrize("commit", ["0" * 40, "--help", "main; rm -rf"])
def test_a_commit_that_is_not_here_is_said(commit: str, tmp_path: Path) -> None:
    """A commit that the repository lacks, as in a shallow clone, and a word that is none, are one clear line."""
    _, made = today()
    with _Laboratory(Cache(tmp_path), None).open() as laboratory:
        assert "is not in this repository; fetch it (git fetch --unshallow" in (
            laboratory.differs(smoke_of({**made, "commit": commit})) or ""
        )
    assert not list((tmp_path / "restamp").iterdir())
