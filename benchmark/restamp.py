"""Re-signs stale records whose code was only tidied up: where it gives now what it gave at their commit.

One smoke run at a commit serves all records of a method, variant, dataset and track: their budgets and seeds go through the
same code, and must give the same bytes. Seeds 0 and 1 are run, since a change in how a seed is used can leave seed 0 as it was.
What smoke can't show, settings that only another budget has, is compared by itself: a record whose settings aren't today's
stays stale, but for new ones that have in the smoke run the value they have in the record's cell.

A metric is computed again: from the record's table where that is enough, else from outputs. Where a record's own are gone,
others measured by the same code speak for it: every one whose outputs are here must have its value again, and two of them be
of the same dataset and track.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import methods
import metrics
from benchmark.agreement import Agreement
from benchmark.fingerprint import score_fingerprint
from benchmark.ground.errors import UserError
from benchmark.ground.files import canonical_json, remove, scratch_name
from benchmark.plan import Cell, from_record
from benchmark.provenance import metric_source, revision, score_fingerprints
from benchmark.report.fresh import Today
from benchmark.store import PROTOCOL, ROOT, Cache, Results, read_record
from benchmark.verify import FROM_TABLE, same
from metrics.parts.contingency import Contingency

SEEDS = 2
COMPARED = ("assign", "embedding", "soft", "snapshots")


class Smoke(NamedTuple):
    """What one smoke run stands for. changes: as JSON."""

    commit: str
    method: str
    variant: str
    dataset: str
    track: str
    device: str
    threads: int
    changes: str


@dataclass(frozen=True)
class Answer:
    """What became of a stale record. renewed: the record with today's signatures, or None where it stays stale."""

    key: str
    said: str
    renewed: dict[str, Any] | None


def restamp(
    results: Results,
    cache: Cache,
    *,
    wanted: Callable[[dict[str, Any]], bool],
    data: Path | None,
    dry_run: bool = False,
    say: Callable[[str], object] = print,
) -> Iterator[Answer]:
    """Tries every stale record that is wanted, and writes those it can re-sign. dry_run: writes nothing."""
    head, dirty = revision()
    if head is None:
        raise UserError("this is no git checkout, so nothing says what code made a record; run stale cells again")
    if dirty and not dry_run:
        raise UserError("the code differs from its commit; commit it first, since a re-signed record names the commit")
    today = Today()
    stale = [(key, record) for key, record in results.records() if wanted(record) and today.freshness(record) == "stale"]
    with _Laboratory(cache, data).open() as laboratory:
        agreement = Agreement(results, cache, commits=_measuring, tree=laboratory.tree, say=say)
        for key, record in stale:
            answer = _answer(key, record, cache, laboratory, agreement, head)
            if answer.renewed and not dry_run:
                with results.claim(key):
                    if results.read(key) == record:
                        results.amend(key, answer.renewed)
            yield answer


def _answer(key: str, record: dict[str, Any], cache: Cache, laboratory: _Laboratory, agreement: Agreement, head: str) -> Answer:
    """What is to be done with one stale record."""
    cell = from_record(record)
    if record["state"] != "ok":
        return Answer(key, f"its state is {record['state']}; a run replaces it", None)
    renewed = {**record, "fit_fingerprint": cell.fit_fingerprint}
    if renewed["fit_fingerprint"] != record["fit_fingerprint"]:
        why = _unlike(record, cell) or laboratory.differs(smoke_of(record))
        if why:
            return Answer(key, why, None)
        renewed["config"] = _written(cell.config)
        renewed["parts"] = [part.fit_fingerprint for part in cell.parts.values()]
    signed, unsigned = _signed(record, cell)
    compared = {name: on for name in unsigned if (on := agreement.on(record, name))}
    now = score_fingerprints(cell.fit_fingerprint, datasets.card(cell.dataset).labels_id)
    renewed["score_fingerprints"] = signed | {name: now[name] for name in compared}
    unsigned = [name for name in unsigned if name not in compared]
    entry = {"from": record.get("commit"), "to": head, "date": datetime.datetime.now(datetime.UTC).date().isoformat()}
    if compared:
        entry["compared"] = compared  # metric -> on how many records both codes give the same value
    renewed["restamped"] = [*record.get("restamped", []), entry]
    if not unsigned:
        said = f"; {', '.join(compared)} on {max(compared.values())} records" if compared else ""
        return Answer(key, f"the bytes agree{said}", renewed)
    at_hand = cache.whole(record["fit_fingerprint"])
    how = "`score` computes them again from the outputs" if at_hand else "the outputs that they need are gone: run the cell again"
    said = f"the metrics have changed of {', '.join(unsigned)}; {how}"
    changed = renewed["fit_fingerprint"] != record["fit_fingerprint"] and not at_hand
    return Answer(key, said, renewed if changed else None)


def _unlike(record: dict[str, Any], cell: Cell) -> str | None:
    """Why today's cell is another one than the record's, whatever the code does; or None."""
    if cell.not_applicable:
        return f"not applicable today: {cell.not_applicable}"
    if record.get("data"):
        return "its data are from outside; run its cell again"
    if record.get("submitted"):
        return "its fit was made elsewhere; submit it again"
    if record.get("dirty") or not record.get("commit"):
        return "it was made by uncommitted code, so no commit says what made it; run its cell again"
    then, now = record.get("config", {}), _written(cell.config)
    if then != {name: value for name, value in now.items() if name in then}:
        return f"its config was another one: {then}, today {cell.config}"
    smoke = methods.configure(cell.method, kind=datasets.card(cell.dataset).kind, budget="smoke")
    for name in now.keys() - then.keys():
        if smoke[name] != cell.config[name]:
            return (
                f"{name!r} is new, and its smoke cell has {smoke[name]!r} for it, not {cell.config[name]!r}; run its cell again"
            )
    if record.get("k") != cell.k:
        return f"its k was another one: {record.get('k')}, today {cell.k}"
    return None


def _written(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration as a record holds it."""
    return json.loads(canonical_json(config))


def _signed(record: dict[str, Any], cell: Cell) -> tuple[dict[str, str], list[str]]:
    """Today's score fingerprints where they hold, the recorded ones where not; and the names of the latter.

    A score holds if its metric and the labels are those it was signed with, or if it follows from the record's table.
    """
    labels = datasets.card(cell.dataset).labels_id
    then, now = record.get("score_fingerprints", {}), score_fingerprints(cell.fit_fingerprint, labels)
    known = [name for name in then if name in now]
    fit = record["fit_fingerprint"]
    alike = {
        name
        for name in known
        if then[name] == score_fingerprint(fit=fit, metric_source=metric_source(name), protocol=PROTOCOL, labels=labels)
    }
    if alike:  # so the labels are the same, and a table of them still counts
        evidence = metrics.Evidence(contingency=Contingency.from_triples(record["contingency"]))
        tabled = [name for name in known if name not in alike and set(metrics.card(name).needs) <= FROM_TABLE]
        alike |= {name for name in tabled if same(record["scores"].get(name), metrics.get(name).measure(evidence))}
    return {**then, **{name: now[name] for name in alike}}, [name for name in known if name not in alike]


def smoke_of(record: dict[str, Any]) -> Smoke:
    """The smoke run that stands for a record."""
    environment = record["environment"]
    names = {name: record[name] for name in ("commit", "method", "variant", "dataset", "track")}
    changes = json.dumps(record.get("changes", {}), sort_keys=True)
    return Smoke(**names, device=environment["device"], threads=environment.get("threads", 1), changes=changes)


class _Laboratory:
    """Runs smoke cells at commits and now; each once."""

    def __init__(self, cache: Cache, data: Path | None) -> None:
        self.folder, self.data, self.raw = cache.root / "restamp" / scratch_name("run"), data, cache.raw
        self._known: dict[Smoke, str | None] = {}
        self._runs: dict[tuple[Path, Smoke], dict[str, bytes] | str] = {}
        self._trees: dict[str, Path | None] = {}

    @contextmanager
    def open(self) -> Iterator[_Laboratory]:
        """A laboratory that leaves no worktree and no file behind."""
        try:
            yield self
        finally:
            for tree in filter(None, self._trees.values()):
                _git("worktree", "remove", "--force", str(tree))
            remove(self.folder)
            if self._trees:
                _git("worktree", "prune")

    def differs(self, smoke: Smoke) -> str | None:
        """In what the smoke outputs at the commit and now differ, or why that can't be said; None where the bytes agree."""
        if smoke not in self._known:
            self._known[smoke] = self._compare(smoke)
        return self._known[smoke]

    def _compare(self, smoke: Smoke) -> str | None:
        tree = self.tree(smoke.commit)
        if tree is None:
            return (
                f"its commit {smoke.commit[:12]} is not in this repository; fetch it (git fetch --unshallow, where the clone is "
                "shallow) or run its cell again"
            )
        then, now = self._outputs(tree, smoke), self._outputs(ROOT, smoke._replace(commit=""))
        for outputs, where in ((then, f"at {smoke.commit[:12]}"), (now, "now")):
            if isinstance(outputs, str):
                return f"its smoke cell doesn't run {where}: {outputs}"
        assert isinstance(then, dict)
        assert isinstance(now, dict)
        other = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
        return f"its smoke cell gives other bytes now: {', '.join(other)}" if other else None

    def tree(self, commit: str) -> Path | None:
        """A worktree of the commit, or None where the repository lacks it."""
        if commit not in self._trees:
            tree = self.folder / commit[:12]
            tree.parent.mkdir(parents=True, exist_ok=True)
            there = commit.isalnum() and _git("cat-file", "-e", f"{commit}^{{commit}}")
            self._trees[commit] = tree if there and _git("worktree", "add", "--detach", str(tree), commit) else None
        return self._trees[commit]

    def _outputs(self, code: Path, smoke: Smoke) -> dict[str, bytes] | str:
        """The bytes of the outputs of the smoke cells that this code makes, by seed and name; or why there are none."""
        if (code, smoke) not in self._runs:
            place = self.folder / f"smoke{len(self._runs)}"
            (place / "cache").mkdir(parents=True)
            if self.raw.is_dir():
                (place / "cache" / "raw").symlink_to(self.raw)
            self._runs[code, smoke] = self._run(code, smoke, place)
            remove(place)
        return self._runs[code, smoke]

    def _run(self, code: Path, smoke: Smoke, place: Path) -> dict[str, bytes] | str:
        said = subprocess.run(
            [sys.executable, "run_all.py", *_words(smoke), "--results", str(place / "results")],
            cwd=code,
            env=self._environment(place / "cache"),
            capture_output=True,
            text=True,
        )
        found: dict[str, bytes] = {}
        for seed in range(SEEDS):
            key = f"{smoke.dataset}/{smoke.method}/{smoke.track}-smoke-{smoke.variant}-s{seed}"
            path = place / "results" / "records" / f"{key}.json"
            if not path.is_file():
                return (said.stderr.strip().splitlines() or ["no record"])[-1]
            record = read_record(path)
            if record["state"] != "ok":
                return f"{record['state']}: {record.get('reason')}"
            outputs = place / "cache" / "outputs" / record["fit_fingerprint"]
            for name in COMPARED:
                if (outputs / f"{name}.npy").is_file():
                    found[f"{name} of seed {seed}"] = (outputs / f"{name}.npy").read_bytes()
        return found

    def _environment(self, cache: Path) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("BLINDBENCH")}
        env |= {"BLINDBENCH_CACHE": str(cache)}
        return env | ({"BLINDBENCH_DATA": str(self.data)} if self.data else {})


def _words(smoke: Smoke) -> list[str]:
    words = ["run", "--methods", smoke.method, "--datasets", smoke.dataset, "--track", smoke.track, "--budget", "smoke"]
    words += ["--seeds", str(SEEDS), "--device", smoke.device, "--threads", str(smoke.threads), "--jobs", "1"]
    if smoke.variant != "base":
        words += ["--variant", smoke.variant]
    for name, value in json.loads(smoke.changes).items():
        words += ["--set", f"{smoke.method}.{name}={value}"]
    return words


def _measuring() -> list[str]:
    """The commits that changed what measures, or how its source is hashed; newest first."""
    paths = ("metrics", "benchmark/fingerprint.py", "benchmark/provenance.py")
    said = subprocess.run(["git", "-C", str(ROOT), "log", "--format=%H", "--", *paths], capture_output=True, text=True)
    return said.stdout.split()


def _git(*words: str) -> bool:
    """Runs git on this repository; whether it went well."""
    return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True).returncode == 0
