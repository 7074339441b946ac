"""What the command line and notebooks call: choose cells, run what is missing, write tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmark.executors.local import Local, default_jobs
from benchmark.executors.order import Watcher
from benchmark.ground.errors import UserError, unknown
from benchmark.ground.files import write_text
from benchmark.plan import Cell, load_suite, plan
from benchmark.provenance import code_address, score_fingerprints
from benchmark.runner import FAILURES, Bench, Outcome, Settings, is_fresh, is_settled
from benchmark.store import Cache, Results, cache_root, data_folder
from datasets import join
from datasets.outside import is_outside

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Choice:
    """Which cells a run is about; what is None comes from the suite.

    datasets: names, or a user's own data as `KIND:PATH`. k: how many clusters to ask for, which makes variant `k<N>`. size:
    side that the images of a folder are brought to.
    """

    suite: str = "quick"
    methods: Sequence[str] | None = None
    datasets: Sequence[str] | None = None
    seeds: int | None = None
    budget: str | None = None
    track: str | None = None
    variant: str | None = None
    device: str = "cpu"
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    k: int | None = None
    size: int | None = None

    @property
    def outside(self) -> bool:
        """Whether a user's own data are among the datasets."""
        return any(is_outside(name) for name in self.datasets or ())

    @cached_property
    def dataset_names(self) -> list[str]:
        """The datasets by name; a user's own have joined."""
        given = load_suite(self.suite).datasets if self.datasets is None else self.datasets
        return [join(name, self.size) if is_outside(name) else name for name in given]

    def cells(self) -> list[Cell]:
        """The planned cells, parts included."""
        suite = load_suite(self.suite)
        if self.k is not None and self.variant not in (None, f"k{self.k}"):
            raise UserError(f"--k {self.k} makes variant 'k{self.k}', but --variant is {self.variant!r}; leave one of them out")
        if self.k is not None and self.changes:
            raise UserError("--k and --set together need a --variant of their own, which isn't offered; use one of them")
        chosen = suite.methods if self.methods is None else self.methods
        variant, changes = self.variant if self.k is None else f"k{self.k}", self.changes
        if variant is None and not changes and suite.variant is not None:
            variant, changes = suite.variant, dict.fromkeys(chosen, suite.settings)
        return plan(
            method_names=chosen,
            dataset_names=self.dataset_names,
            seeds=suite.seeds if self.seeds is None else self.seeds,
            budget=self.budget or suite.budget,
            track=self.track or suite.track,
            variant=variant,
            device=self.device,
            changes=changes,
        )


def refuse_to_replace(record: dict[str, Any] | None, cell: Cell) -> None:
    """UserError where a record of the cell's key is good, but was made with other settings or on another device."""
    from benchmark.report.tables import freshness

    if record and record["state"] == "ok" and record["fit_fingerprint"] != cell.fit_fingerprint and freshness(record) == "fresh":
        made = f"{record['changes'] or 'default settings'} on {record['environment']['device']}"
        raise UserError(
            f"{cell.key} has a fresh record, made with {made}; name a --variant for another, or replace it by --accept"
        )


@dataclass(frozen=True)
class Work:
    """What a run will do. train: cells to run, in order. kept: keys whose record stays although the cell is run,
    because only its outputs are wanted by another. fresh: cells with nothing to do. settled: cells that failed before and
    would again."""

    train: list[Cell]
    kept: set[str]
    fresh: list[Cell]
    settled: list[Outcome]


def work(cells: Sequence[Cell], results: Results, cache: Cache, *, anew: bool = False, retry: str | None = None) -> Work:
    """Sorts planned cells into those to run, those with a fresh record and those whose failure stays.

    A part with a fresh record, but whose outputs are gone, is fitted again for the cells that need it.
    retry: the state, or "all", whose failures are trained again.
    """
    if retry not in (None, "all", *FAILURES):
        raise unknown("state to retry", str(retry), ("all", *FAILURES))
    records = {cell.key: results.usable(cell.key) for cell in cells}
    if not anew:
        for cell in cells:
            refuse_to_replace(records[cell.key], cell)
    fresh = {cell.key for cell in cells if is_fresh(records[cell.key], cell) and not anew}
    retried = (*FAILURES,) if anew or retry == "all" else (retry,)
    settled = {
        cell.key: Outcome(cell, record, trained=False)
        for cell in cells
        if (record := records[cell.key]) and is_settled(record, cell) and record["state"] not in retried
    }
    todo = {cell.key for cell in cells} - fresh - set(settled)
    kept: set[str] = set()
    for cell in reversed(cells):
        if cell.key not in todo or cell.not_applicable:
            continue
        for part in cell.parts.values():
            if part.key in fresh and not (cache.output(part.fit_fingerprint) / "state.npz").is_file():
                todo.add(part.key)
                kept.add(part.key)
    untouched = [c for c in cells if c.key in fresh and c.key not in todo]
    return Work([c for c in cells if c.key in todo], kept, untouched, list(settled.values()))


def expected_seconds(cells: Sequence[Cell], results: Results) -> dict[str, float]:
    """What each cell took before: the mean wall clock of its method, dataset and budget over seeds; 0 where unknown."""
    known: dict[tuple[str, ...], list[float]] = {}
    for _, record in results.records(broken=[], tables=False):
        wall = record["cost"].get("wall_seconds")
        if wall is not None:
            known.setdefault((record["method"], record["dataset"], record["track"], record["budget"]), []).append(wall)
    means = {key: sum(values) / len(values) for key, values in known.items()}
    return {cell.key: means.get((cell.method, cell.dataset, cell.track, cell.budget), 0.0) for cell in cells}


class Silent:
    """A watcher that says nothing."""

    progress: Mapping[str, tuple[int, int]]
    jobs: int

    def started(self, cell: Cell) -> None:
        """Nothing."""

    def finished(self, outcome: Outcome) -> None:
        """Nothing."""

    def tick(self) -> None:
        """Nothing."""


class Executor(Protocol):
    """Where cells run: `Local` here, `Cluster` on many machines."""

    def run(
        self,
        cells: Sequence[Cell],
        settings: Settings,
        *,
        kept: Collection[str],
        code: str,
        watcher: Watcher,
        cost: Callable[[Cell], float],
    ) -> Iterator[Outcome]:
        """Runs cells and yields their outcomes; records are written, but for those in `kept`."""


def execute(
    todo: Work,
    settings: Settings,
    *,
    watcher: Watcher,
    expected: Mapping[str, float] | None = None,
    executor: Executor | None = None,
) -> Iterator[Outcome]:
    """Runs the cells of a work list and yields their outcomes. Records are written as cells end."""
    if not todo.train:
        return
    costs = expected or {}
    code = code_address()
    for cell in todo.train:  # read every source now: a later edit must not sign what the snapshot made
        _ = cell.not_applicable or score_fingerprints(cell.fit_fingerprint, "")
    yield from (executor or Local()).run(
        todo.train, settings, kept=todo.kept, code=code, watcher=watcher, cost=lambda cell: costs.get(cell.key, 0.0)
    )


def write_tables(results: Results) -> list[Path]:
    """Writes every generated file that is out of date; returns which."""
    outdated = _outdated(results)
    for path, text in outdated.items():
        if text is None:
            path.unlink()
        else:
            write_text(path, text)
    return list(outdated)


def stale_files(results: Results) -> list[Path]:
    """The generated files that are not what they would be today."""
    return list(_outdated(results))


def _outdated(results: Results) -> dict[Path, str | None]:
    """The generated files that are not what they would be today, each with the text it should have, None for no file."""
    from benchmark.report.markdown import generated

    files = generated(results)
    changed = {path: text for path, text in files.items() if not path.is_file() or path.read_bytes() != text.encode()}
    return {**changed, **{path: None for path in results.root.glob("ranks-*.svg") if path not in files}}


def run(
    *,
    suite: str = "quick",
    methods: Sequence[str] | None = None,
    datasets: Sequence[str] | None = None,
    seeds: int | None = None,
    budget: str | None = None,
    track: str | None = None,
    variant: str | None = None,
    device: str = "cpu",
    changes: Mapping[str, Mapping[str, Any]] | None = None,
    k: int | None = None,
    size: int | None = None,
    jobs: int | None = None,
    threads: int = 1,
    data: Path | None = None,
    results: Path | None = None,
    retry: str | None = None,
) -> pd.DataFrame:
    """Runs every chosen cell that has no fresh record; returns the table of all chosen cells, one row a record.

    results: where records lie and go; by default `results/local`, so that a notebook never changes committed tables.
    changes: method -> field -> value. retry: see `run_all.py run --help`; so for the other choices.
    """
    from benchmark.report.tables import runs

    choice = Choice(suite, methods, datasets, seeds, budget, track, variant, device, changes or {}, k, size)
    cells = choice.cells()
    place = Results(Path(results)) if results else Results.local()
    settings = Settings(place, Cache(cache_root()), data=data_folder(data), threads=threads, jobs=jobs or default_jobs())
    todo = work(cells, place, settings.cache, retry=retry)
    for _ in execute(todo, settings, watcher=Silent()):
        pass
    return runs(place, {cell.key for cell in cells})


def rescore(cells: Sequence[Cell], results: Results, data: Path | None) -> tuple[int, int]:
    """Scores cells again from outputs; returns (how many, how many have none or not all). Records keep date and cost."""
    settings = Settings(results, Cache(cache_root()), data=data_folder(data))
    done = gone = 0
    with Bench.open(settings) as bench:
        for cell in cells:
            record = results.read(cell.key)
            if record is None or not is_fresh(record, cell) or cell.not_applicable:
                continue
            if not bench.cache.whole(cell.fit_fingerprint):
                gone += 1
                continue
            bench.rescore_cell(cell, record)
            done += 1
    return done, gone
