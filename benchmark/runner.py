"""One cell to its record: fit it blind, score what came out, write it down. Every failure is a record too."""

from __future__ import annotations

import contextlib
import datetime
import json
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import datasets
import methods
import metrics
from benchmark.executors.client import Exit, ForkServer, ServerGone, Stopped, clean_environment
from benchmark.executors.meter import Limits
from benchmark.figures import FIGURES, may_show
from benchmark.fingerprint import SCORE_VERSION, digest
from benchmark.ground.errors import STOPPING, MissingData, UserError
from benchmark.ground.files import load_array, remove, replacing, scratch_name, sha256
from benchmark.plan import Cell
from benchmark.provenance import environment, metric_source, revision, score_fingerprints, snapshot_code, versions
from benchmark.schema import SCHEMA
from benchmark.store import PROTOCOL, ROOT, Cache, Results
from benchmark.wall import ATTEMPTS, noted, sklearn_data
from datasets import outside
from methods.card import BUDGETS

WALL_SECONDS = {"smoke": 120, "quick": 900, "full": 4 * 3600, "paper": 7 * 24 * 3600}
DISK_MIB = 10 * 1024.0
FAILURES = ("failed", "diverged", "timeout", "out_of_memory")
HARNESS = "harness"  # the flag of a failure that is not the method's, so that the cell is tried again in the next run
_OVER = {
    "wall": ("timeout", "wall seconds"),
    "cpu": ("timeout", "cpu seconds"),
    "memory": ("out_of_memory", "MiB of memory"),
    "disk": ("failed", "MiB of disk"),
}
_BLIND_FILES = {"__init__", "base", "inputs", "registry"}  # of datasets/, what the blind side imports
SCORE_LIMITS = Limits(wall_seconds=3600, cpu_seconds=4 * 3600, memory_mib=0.8 * psutil.virtual_memory().total / 2**20)
assert set(WALL_SECONDS) == set(BUDGETS)


def default_limits(budget: str, threads: int = 1, jobs: int = 1) -> Limits:
    """The limits of a cell of that budget on this machine: wall by budget, CPU as much a thread, its share of 80% of memory."""
    wall = WALL_SECONDS[budget]
    return Limits(wall, 1.5 * wall * threads, 0.8 * psutil.virtual_memory().total / 2**20 / jobs, DISK_MIB)


@dataclass(frozen=True)
class Settings:
    """How a run is made.

    data: the user's data folder. fresh: train anew even where outputs or a fresh record exist. checkpoint_seconds: how often
    a long fit writes what it can go on from.
    """

    results: Results
    cache: Cache
    data: Path | None = None
    threads: int = 1
    jobs: int = 1
    fresh: bool = False
    limits: Limits | None = None
    checkpoint_seconds: float = 60.0


@dataclass(frozen=True)
class Outcome:
    """What became of a cell: its record, whether it was trained, or only scored, in this run, and its figures file."""

    cell: Cell
    record: dict[str, Any]
    trained: bool
    figures: bytes | None = None


def is_fresh(record: dict[str, Any] | None, cell: Cell) -> bool:
    """Whether a record needs no training: it is today's fit, scored, or says that the cell can't exist."""
    if record is None:
        return False
    if cell.not_applicable:
        return record["state"] == "not_applicable" and record["reason"] == cell.not_applicable
    return record["state"] == "ok" and record["fit_fingerprint"] == cell.fit_fingerprint


def is_settled(record: dict[str, Any] | None, cell: Cell) -> bool:
    """Whether a record says that the method itself failed in what is today's fit, so that it would fail again."""
    if record is None or cell.not_applicable or HARNESS in record["flags"]:
        return False
    return record["state"] in FAILURES and record["fit_fingerprint"] == cell.fit_fingerprint


class Bench:
    """The servers and data of one run; `run_cell` may be called from several threads.

    The blind server starts first, from a snapshot of the code and with a cleaned environment, before this process has
    opened any label.
    """

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        self.settings, self.cache = settings, settings.cache
        self.clerk = Clerk(settings)
        self.code = snapshot_code(self.cache)
        self._stack, self._starting, self._closed = stack, threading.Lock(), False
        self.blind = self._start("benchmark.worker")
        self.sighted = self._start("benchmark.score")
        self.progress: dict[str, tuple[int, int]] = {}
        self._prepared: dict[str, Any] = {}
        self._lock = threading.Lock()

    @classmethod
    @contextmanager
    def open(cls, settings: Settings) -> Iterator[Bench]:
        """A bench whose servers end with the block; what dead runs left half-written is removed first."""
        settings.cache.tidy()
        settings.results.tidy()
        with ExitStack() as stack:
            bench = cls(settings, stack)
            try:
                yield bench
            finally:
                bench._closed = True  # before its servers end, so that none is begun anew

    def prepared(self, name: str) -> Any:
        """The prepared dataset, made once a run; MissingData again where it was missing."""
        from datasets.prepare import prepare

        with self._lock:
            if name not in self._prepared:
                try:
                    self._prepared[name] = prepare(name, cache=self.cache.root, data=self.settings.data)
                except MissingData as error:
                    self._prepared[name] = error
        found = self._prepared[name]
        if isinstance(found, MissingData):
            raise found
        return found

    def run_cell(self, cell: Cell, *, keep_record: bool = False) -> Outcome:
        """Sees a cell to its record and writes it; keep_record leaves the record that is there, and writes outputs only."""
        outcome = self.measure(cell)
        if not keep_record:
            self.clerk.keep(outcome, self.assignments(outcome))
        return outcome

    def run_claimed(self, cell: Cell, *, keep_record: bool, outputs: bool, before: object) -> Outcome:
        """`run_cell`, once no other run has the cell in hand. A record that another run made meanwhile is taken as it is.

        outputs: whether other cells start from this one's. before: the record's stamp when this run began; while it has that,
        a fresh record doesn't keep a run from training anew.
        """
        results = self.settings.results
        with results.claim(cell.key, waits=self._go_on):
            found = None if keep_record else results.usable(cell.key)
            if found and is_settled(found, cell) and results.stamp(cell.key) != before:
                return Outcome(cell, found, trained=False)
            if found is None or not is_fresh(found, cell) or (self.settings.fresh and results.stamp(cell.key) == before):
                return self.run_cell(cell, keep_record=keep_record)
            if outputs and not self.cache.whole(cell.fit_fingerprint):
                return self.run_cell(cell, keep_record=True)
            return Outcome(cell, found, trained=False)

    def _go_on(self) -> None:
        """Stopped where the bench was closed meanwhile."""
        if self.blind.stopped:
            raise Stopped

    def measure(self, cell: Cell) -> Outcome:
        """Sees a cell to its record, which is not written.

        Where not the method broke down but what it stands on, the cell has a second attempt. Where a server died that attempt
        has one of its own: if that dies too it was this cell's doing, and no neighbour suffers.
        """
        try:
            return Outcome(cell, *self._attempt(cell))
        except (ServerGone, OSError) as error:
            alone = error.module if isinstance(error, ServerGone) else None
        try:
            return Outcome(cell, *self._attempt(cell, alone))
        except ServerGone as error:
            if not error.begun:
                raise
            reason = f"ended the process it was forked from (exit code {error.code}), twice"
            return Outcome(cell, self.clerk.record(cell, "failed", reason), True)
        except OSError as error:
            if error.errno in STOPPING:
                raise
            return Outcome(cell, self.clerk.record(cell, "failed", f"the harness: {error}", flags=[HARNESS]), False)

    def _start(self, module: str) -> ForkServer:
        """A new server, which ends with this bench."""
        if self._closed:
            raise Stopped
        env = clean_environment(self.settings.threads)
        return self._stack.enter_context(ForkServer(module, code=self.code, env=env))

    @contextmanager
    def _server(self, side: str, alone: str | None) -> Iterator[ForkServer]:
        """The server of a side, "blind" or "sighted": the shared one, begun anew where it died.

        alone: the module whose server is to be one for this job alone.
        """
        with self._starting:
            server: ForkServer = getattr(self, side)
            own = server.module == alone
            if own or server.gone:
                server = self._start(server.module)
            if not own:
                setattr(self, side, server)
        try:
            yield server
        finally:
            if own:
                server.close()

    def assignments(self, outcome: Outcome) -> np.ndarray | None:
        """What a cell that ended well assigned, [n] int64; else None."""
        return load_array(self.outputs(outcome.cell) / "assign.npy") if outcome.record["state"] == "ok" else None

    def score_cell(self, cell: Cell, fit: dict[str, Any]) -> Outcome:
        """The record of a cell whose outputs were put into the cache by someone else than a fit of ours."""
        scored, reason = self._score(cell, self.prepared(cell.dataset))
        if scored is None:
            raise UserError(f"{cell.key} can't be scored: {reason}")
        figures = scored.pop("figures", None)
        return Outcome(cell, self.clerk.record(cell, "ok", None, fit=fit, scored=scored), False, figures)

    def rescore_cell(self, cell: Cell, record: dict[str, Any]) -> None:
        """Computes a record's scores again from the cell's outputs; everything that is not a score stays."""
        scored, reason = self._score(cell, self.prepared(cell.dataset))
        figures = scored.pop("figures", None) if scored else None
        if scored is None:
            raise UserError(f"{cell.key} can't be scored again: {reason}")
        fingerprints = score_fingerprints(cell.fit_fingerprint, datasets.card(cell.dataset).labels_id)
        renewed = {**record, **scored, "score_fingerprints": fingerprints}
        self.settings.results.write(cell.key, renewed, load_array(self.outputs(cell) / "assign.npy"), figures)

    def outputs(self, cell: Cell) -> Path:
        """Where a cell's outputs lie."""
        return self.cache.output(cell.fit_fingerprint)

    def _attempt(self, cell: Cell, alone: str | None = None) -> tuple[dict[str, Any], bool, bytes | None]:
        if cell.not_applicable:
            return self.clerk.record(cell, "not_applicable", cell.not_applicable), False, None
        unavailable = methods.entry(cell.method).unavailable
        if unavailable:
            return self.clerk.record(cell, "failed", f"unavailable, because it {unavailable}", flags=[HARNESS]), False, None
        try:
            prepared = self.prepared(cell.dataset)
        except MissingData as error:
            return self.clerk.record(cell, "missing", str(error)), False, None
        for role, part in cell.parts.items():
            if not (self.outputs(part) / "state.npz").is_file():
                lack = f"its {role}, {part.method}, has no outputs"
                return self.clerk.record(cell, "failed", lack, flags=[HARNESS]), False, None
        trained = self.settings.fresh or not self.cache.whole(cell.fit_fingerprint)
        if trained:
            fit, exit_ = self._fit(cell, prepared, alone)
            if fit["state"] != "ok":
                return self.clerk.record(cell, fit["state"], fit["reason"], fit=fit, exit_=exit_), True, None
        fit = json.loads((self.outputs(cell) / "fit.json").read_text(encoding="utf-8"))
        scored, reason = self._score(cell, prepared, alone)
        if scored is None:
            return self.clerk.record(cell, "failed", reason, fit=fit, flags=[HARNESS]), trained, None
        return self.clerk.record(cell, "ok", None, fit=fit, scored=scored), trained, scored.get("figures")

    def _fit(self, cell: Cell, prepared: Any, alone: str | None) -> tuple[dict[str, Any], Exit]:
        """Fits a cell in a blind child; its outputs appear whole, with state ok, or not at all."""
        limits = self.settings.limits or default_limits(cell.budget, self.settings.threads, self.settings.jobs)
        with self._scratch() as scratch, contextlib.suppress(_NotKept), replacing(self.outputs(cell)) as out:
            out.mkdir(parents=True)
            checkpoint = self._checkpoint(cell)
            job = self._job(cell, prepared, out, scratch, checkpoint)
            progress = out / "progress.json"

            def on_poll() -> None:
                with contextlib.suppress(OSError, ValueError):
                    done, total = json.loads(progress.read_text(encoding="utf-8"))
                    self.progress[cell.key] = (done, total)

            with self._server("blind", alone) as server:
                exit_ = server.run(job, folder=out, scratch=scratch, limits=limits, on_poll=on_poll)
            fit = _read_fit(out, exit_, limits)
            if (out / "fit.json").is_file():  # else it was killed, and may go on
                remove(checkpoint)
            fit["attempts"] = max(noted(out), fit.get("attempts", []), key=len)
            for name in ("job.json", "progress.json", "supervision.npy", ATTEMPTS):
                remove(out / name)
            if fit["state"] != "ok":
                raise _NotKept
            fit["cost"]["peak_mib"] = exit_.peak_mib
            (out / "fit.json").write_text(json.dumps(fit), encoding="utf-8")
        self.progress.pop(cell.key, None)
        return fit, exit_

    def _checkpoint(self, cell: Cell) -> Path:
        """The folder in which a killed fit finds what it needs to go on; empty where the cell is to be trained anew."""
        place = self.cache.checkpoints / cell.fit_fingerprint
        if self.settings.fresh:
            remove(place)
        place.mkdir(parents=True, exist_ok=True)
        return place

    def _job(self, cell: Cell, prepared: Any, out: Path, scratch: Path, checkpoint: Path) -> dict[str, Any]:
        """Everything the child is told."""
        parts = {
            role: {"method": self._source(part), "config": part.config, "k": part.k, "outputs": str(self.outputs(part))}
            for role, part in cell.parts.items()
        }
        return {
            "method": self._source(cell),
            "config": cell.config,
            "k": cell.k,
            "clusters": cell.clusters,
            "seed": cell.seed,
            "track": cell.track,
            "inputs": str(prepared.inputs),
            "parts": parts,
            "supervision": self._supervision(cell, prepared, out),
            "device": cell.device,
            "threads": self.settings.threads,
            "denied": [str(path) for path in self._denied() if path],
            "allowed": [
                *map(str, (prepared.inputs, self.code, self.cache.code / "plugins", scratch, out, checkpoint)),
                *(part["outputs"] for part in parts.values()),
                *(sys.prefix, sys.base_prefix),
            ],
            "writable": [str(scratch), str(out), str(checkpoint)],
            "checkpoint": str(checkpoint / "state.npz"),
            "checkpoint_seconds": self.settings.checkpoint_seconds,
            "out": str(out),
        }

    def _denied(self) -> list[Path | None]:
        """What the child may not open. Generated data needs its loaders denied, since they return labels; records and
        other cells' outputs may be a supervised row's."""
        loaders = [path for path in (self.code / "datasets").rglob("*.py") if path.stem not in _BLIND_FILES]
        roots = [self.cache.root, self.cache.labels, self.cache.raw, self.settings.data, self.settings.results.root]
        return [*roots, *datasets.registry.own_files, ROOT / "results", ROOT / "datasets", sklearn_data(), *loaders]

    def _source(self, cell: Cell) -> dict[str, str]:
        """Where the child finds a method: a module of the snapshot, or a copy of the plug-in's file."""
        entry = methods.entry(cell.method)
        if entry.family != "plugin":
            return {"module": entry.module, "path": ""}
        content = entry.path.read_bytes()
        copy = self.cache.code / "plugins" / sha256(content)[:16] / entry.path.name
        if not copy.is_file():
            with replacing(copy) as part:
                part.write_bytes(content)
        return {"module": entry.module, "path": str(copy)}

    def _supervision(self, cell: Cell, prepared: Any, out: Path) -> str | None:
        """The one door for supervision: labels of the train rows for a method whose card says it is told labels."""
        if "labels" not in cell.card.told:
            return None
        from datasets import labels as door
        from datasets.prepare import fold_seed

        truth, split, fold = door.load_all(prepared.labels, prepared.inputs, fold_seed(prepared.name))
        assert truth is not None
        told = np.where(fold == 0, truth, -1)
        if cell.track == "inductive" and split is not None:
            told = told[split != 1]
        np.save(out / "supervision.npy", told, allow_pickle=False)
        return str(out / "supervision.npy")

    def _score(self, cell: Cell, prepared: Any, alone: str | None = None) -> tuple[dict[str, Any] | None, str | None]:
        """Scores a cell's outputs in a sighted child: (scores, None) or (None, reason). Among the scores, `figures`: bytes."""
        from datasets.prepare import fold_seed

        with self._scratch() as scratch:
            job = {
                "outputs": str(self.outputs(cell)),
                "inputs": str(prepared.inputs),
                "labels": str(prepared.labels),
                "fold_seed": fold_seed(cell.dataset),
                "track": cell.track,
                "metrics": metrics.names(),
                "figures": self._figures(cell),
                "known": None if self.settings.fresh else self._known(prepared),
                "threads": self.settings.threads,
                "out": str(scratch),
            }
            with self._server("sighted", alone) as server:
                exit_ = server.run(job, folder=scratch, scratch=scratch, limits=SCORE_LIMITS)
            if exit_.status != 0 or exit_.limit:
                log: list[str] = []
                with contextlib.suppress(OSError):
                    log = (scratch / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
                return None, f"scoring ended with {exit_.limit or exit_.status}: {log[-1] if log else 'no word'}"[:500]
            scored, drawn = json.loads((scratch / "score.json").read_text(encoding="utf-8")), scratch / FIGURES
            return {**scored, **({"figures": drawn.read_bytes()} if drawn.is_file() else {})}, None

    def _figures(self, cell: Cell) -> dict[str, Any] | None:
        """What the scorer draws: figures of seed 0, and never of what is no row of a board."""
        if cell.seed != 0 or cell.budget == "smoke":
            return None
        return {"fit": cell.fit_fingerprint, "images": may_show(datasets.card(cell.dataset).licence)}

    def _known(self, prepared: Any) -> dict[str, Any]:
        """Where scores of embeddings measured before lie, and what besides the embedding each depends on."""
        names = [name for name in metrics.names() if set(metrics.card(name).needs) <= {"split", "neighbours"}]
        shared = (PROTOCOL, prepared.inputs_address, prepared.labels_address, prepared.name, self.settings.threads, versions())
        keys = {name: digest([SCORE_VERSION, name, metric_source(name), *shared]) for name in names}
        return {"folder": str(self.cache.scores), "keys": keys}

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A home and temporary folder of a child, gone after it."""
        path = self.cache.scratch / scratch_name("cell")
        path.mkdir(parents=True)
        try:
            yield path
        finally:
            remove(path)


class Clerk:
    """Makes records and writes them."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.cache = settings, settings.cache
        self.commit, self.dirty = revision()

    def keep(self, outcome: Outcome, assignments: np.ndarray | None) -> None:
        """Writes a record. What was measured is never replaced by the word that its data are missing."""
        cell, record = outcome.cell, outcome.record
        known = self.settings.results.usable(cell.key) if record["state"] == "missing" else None
        if not (known and known["state"] == "ok"):
            self.settings.results.write(cell.key, record, assignments, outcome.figures)

    def record(
        self,
        cell: Cell,
        state: str,
        reason: str | None,
        *,
        fit: dict[str, Any] | None = None,
        scored: dict[str, Any] | None = None,
        exit_: Exit | None = None,
        flags: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The record of a cell. fit, scored: what the two sides wrote. exit_: how the child ended that wrote nothing."""
        fit, scored = fit or {}, scored or {}
        data = datasets.card(cell.dataset)
        cost = dict(fit.get("cost", {}))
        if exit_ is not None and "wall_seconds" not in cost:
            cost = {"wall_seconds": exit_.wall_seconds, "cpu_seconds": exit_.cpu_seconds, "peak_mib": exit_.peak_mib}
        told = cell.told | ({"k"} if fit.get("clusters_by") == "kmeans" else set())
        few = state == "ok" and fit["k_used"] < cell.clusters and "k" in told
        fresh = cell.fit_fingerprint if cell.not_applicable is None else ""
        return {
            "schema": SCHEMA,
            "protocol": PROTOCOL,
            **{name: getattr(cell, name) for name in ("method", "variant", "dataset", "track", "budget", "seed")},
            "state": state,
            "reason": self._without_paths(reason),
            "flags": [*["collapsed"] * few, *fit.get("flags", []), *flags],
            "told": sorted(told),
            "attempts": fit.get("attempts", []),
            "k": cell.k,
            "k_used": fit.get("k_used"),
            "clusters_by": fit.get("clusters_by"),
            **({"data": outside.facts(data)} if datasets.entry(cell.dataset).family == "outside" else {}),
            "changes": dict(cell.changes),
            "config": cell.config,
            "schedule": cell.card.schedule,
            "fit_fingerprint": fresh,
            "score_fingerprints": score_fingerprints(fresh, data.labels_id) if state == "ok" else {},
            "parts": [part.fit_fingerprint for part in cell.parts.values()] if fresh else [],
            "scores": scored.get("scores", {}),
            "notes": scored.get("notes", {}),
            "oracle_gap": scored.get("oracle_gap", {}),
            "snapshot_scores": scored.get("snapshot_scores", {}),
            "curve": thin(fit.get("curve", {})),
            "contingency": scored.get("contingency", []),
            "cost": self._with_parts(cell, cost),
            "environment": environment(cell, self.settings.threads),
            "commit": self.commit,
            "dirty": self.dirty,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        }

    def _without_paths(self, reason: str | None) -> str | None:
        """A reason as it may leave this machine: its folders under names of their own."""
        places = {
            "<data>": self.settings.data,
            "<cache>": self.cache.root,
            "<project>": ROOT,
            "<python>": sys.prefix,
            "~": Path.home(),
        }
        for name, place in places.items():
            if reason and place:
                reason = reason.replace(str(place), name)
        return reason

    def _with_parts(self, cell: Cell, cost: dict[str, Any]) -> dict[str, Any]:
        """Adds `total_seconds`: the cell's own wall clock and that of every part it stands on."""
        if "wall_seconds" not in cost:
            return cost
        total = cost["wall_seconds"]
        for part in cell.parts.values():
            with contextlib.suppress(OSError):
                fit = json.loads((self.cache.output(part.fit_fingerprint) / "fit.json").read_text(encoding="utf-8"))
                total += self._with_parts(part, fit["cost"])["total_seconds"]
        return {**cost, "total_seconds": total}


class _NotKept(Exception):
    """The fit did not end well; its outputs are not kept."""


def _read_fit(out: Path, exit_: Exit, limits: Limits) -> dict[str, Any]:
    """What the child wrote, or what its end says where it wrote nothing."""
    if exit_.limit:
        state, unit = _OVER[exit_.limit]
        return {"state": state, "reason": f"went over {limits.of(exit_.limit):.0f} {unit}"}
    with contextlib.suppress(OSError, ValueError):
        return json.loads((out / "fit.json").read_text(encoding="utf-8"))
    how = f"was killed by signal {-exit_.status}" if exit_.status < 0 else f"left with exit code {exit_.status}"
    state = "out_of_memory" if exit_.status == -9 and exit_.oom is not False else "failed"  # the kernel's way of making room
    return {"state": state, "reason": f"the child {how} and wrote no outputs"}


def thin(curve: dict[str, list[float]], points: int = 50) -> dict[str, list[float]]:
    """Curves at no more than `points` equally spaced epochs, the last included."""
    return {
        name: [v[i] for i in np.unique(np.linspace(0, len(v) - 1, points).round().astype(int))] for name, v in curve.items() if v
    }
