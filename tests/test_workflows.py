"""The workflows: pinned, with least permissions, and no text of a stranger in a command; what a change adds is looked at."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmark.arrivals import arrivals
from benchmark.ground.errors import UserError
from benchmark.ground.files import canonical_json
from benchmark.plan import Cell
from benchmark.store import ROOT, Results

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = sorted(path for path in (ROOT / ".ci").iterdir() if path.is_file())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned(path: Path) -> None:
    """Each action is named by a whole commit, with its version beside it."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if re.match(r"\s*(- )?uses:", line)]
    assert lines
    for line in lines:
        assert re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_permissions_are_the_least(path: Path) -> None:
    """All may only read; the one job that may write publishes the page, never for a pull request, and checks out nothing."""
    flow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert flow["permissions"] == {"contents": "read"}
    assert set(flow[True]) == {"push", "pull_request"}  # YAML reads the key `on` as true
    for name, job in flow["jobs"].items():
        assert job["timeout-minutes"] <= 90
        checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
        assert all(step["with"]["persist-credentials"] is False for step in checkouts)
        if "permissions" in job:
            assert (name, job["permissions"]) == ("publish", {"pages": "write", "id-token": "write"})
            assert (checkouts, job["needs"], flow["jobs"]["page"]["if"]) == ([], "page", "github.event_name == 'push'")
            assert flow["jobs"]["page"]["needs"] == "check"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_stranger_speaks_in_a_command(path: Path) -> None:
    """No command holds an expression; of an event only the base's commit is used, and that through the environment."""
    flow = yaml.safe_load(path.read_text(encoding="utf-8"))
    steps = [step for job in flow["jobs"].values() for step in job["steps"]]
    assert not [step["run"] for step in steps if "${{" in step.get("run", "")]
    used = {word for step in steps for value in step.get("env", {}).values() for word in re.findall(r"\${{ (.*?) }}", value)}
    assert used <= {"github.event.pull_request.base.sha"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_shell(path: Path) -> None:
    """Each script of .ci parses."""
    subprocess.run(["bash", "-n", str(path)], check=True)


def test_a_strange_base_is_refused() -> None:
    """What is no commit is an error in words, run by nobody."""
    made = subprocess.run(
        ["bash", str(ROOT / ".ci" / "pull_request"), "$(touch hit);--output=x"], capture_output=True, text=True, cwd=ROOT
    )
    assert made.returncode == 2
    assert "is no commit that this branch comes from" in made.stderr
    assert not (ROOT / "hit").exists()


def test_without_new_records_nothing_is_asked() -> None:
    """Where no record changed, the script for pull requests says so and asks for nothing."""
    made = subprocess.run(["bash", str(ROOT / ".ci" / "pull_request"), "HEAD"], capture_output=True, text=True, cwd=ROOT)
    assert (made.returncode, made.stdout[:24]) == (0, "No record changed since ")


def git(folder: Path, *words: str) -> str:
    """Runs git as a user of its own."""
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", "-C", str(folder), *who, *words], capture_output=True, text=True, check=True).stdout.strip()


def record(cell: Cell, **changes: Any) -> dict[str, Any]:
    """The least that is a record."""
    return {
        "schema": 1,
        **{name: getattr(cell, name) for name in ("method", "variant", "dataset", "track", "budget", "seed")},
        **{"state": "ok", "flags": [], "told": ["k"], "k_used": 10, "changes": {}, "scores": {}, "cost": {}},
        "fit_fingerprint": cell.fit_fingerprint,
        "environment": {"device": "cpu"},
        **changes,
    }


def test_new_records_are_todays_and_of_committed_code(tmp_path: Path) -> None:
    """Of what is new since a commit, stale, dirty and smoke records are named; older and good ones are not."""
    results = Results(tmp_path / "results")
    old, good, stale, dirty = (Cell("dec", "digits", "transductive", "quick", seed) for seed in range(4))
    smoke = Cell("dec", "digits", "transductive", "smoke", 0)
    results.write(old.key, record(old, fit_fingerprint="0" * 32))
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "old")
    since = git(tmp_path, "rev-parse", "HEAD")
    results.write(good.key, record(good))
    results.write(stale.key, record(stale, fit_fingerprint="0" * 32))
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "new")
    results.write(dirty.key, record(dirty, dirty=True))
    results.write(smoke.key, record(smoke))
    (results.root / "runs.json").write_text(canonical_json({}))
    count, problems = arrivals(results, since)
    assert count == 4
    assert {(problem.path.stem, problem.what.split()[1]) for problem in problems} == {
        ("transductive-quick-base-s2", "not"),
        ("transductive-quick-base-s3", "made"),
        ("transductive-smoke-base-s0", "of"),
    }
    for wrong in ("nowhere", "--output=x", "", "HEAD; touch x"):
        with pytest.raises(UserError, match="give a commit"):
            arrivals(results, wrong)
