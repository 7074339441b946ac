"""What a change adds to the records: each must be of today's code and data, made by committed code, and fit for a board."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmark.ground.errors import UserError
from benchmark.report.fresh import Today
from benchmark.schema import BadRecord, LaterRecord
from benchmark.store import Results, read_record
from benchmark.verify import Problem


def arrivals(results: Results, since: str) -> tuple[int, list[Problem]]:
    """How many records are new or changed since a commit, and what speaks against them. What can't be read `verify` names."""
    today, problems, paths = Today(), [], list(_changed(results.root, since))
    for path in paths:
        try:
            record = read_record(path)
        except (BadRecord, LaterRecord):
            continue
        if record["budget"] == "smoke":
            problems.append(Problem(path, "is of budget smoke, which is for tests; run its cell with --budget quick or full"))
        if record.get("dirty"):
            problems.append(Problem(path, "was made by uncommitted code; commit the code, then run its cell with --accept"))
        if today.freshness(record) == "stale":
            problems.append(Problem(path, "is not of this code, these settings or these data; run its cell again"))
    return len(paths), problems


def _changed(root: Path, since: str) -> Iterator[Path]:
    """The records, below the folder `root`, that are new or changed since a commit, those not yet committed among them."""
    commit = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{since}^{{commit}}").strip()
    top = Path(_git(root, "rev-parse", "--show-toplevel").strip())
    listed = _git(root, "diff", "--name-only", "-z", "--diff-filter=d", commit, "--", ".")
    listed += _git(root, "ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", ".")
    for name in sorted(set(filter(None, listed.split("\0")))):
        path = top / name
        if path.suffix == ".json" and (root.resolve() / "records") in path.resolve().parents:
            yield path


def _git(root: Path, *words: str) -> str:
    try:
        return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise UserError(
            f"git can't tell what changed below {root} ({' '.join(words[:1])}: {said.strip() or 'no such commit'}); "
            "give a commit of this checkout by --since"
        ) from None
