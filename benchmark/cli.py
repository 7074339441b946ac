"""The command line: one Typer app. Heavy imports happen inside the commands that need them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from benchmark.ground.errors import STOPPING, UserError, unknown

ROOMS = ("methods", "datasets", "metrics", "suites")
app = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="BlindBench: deep clustering and unsupervised representations, fitted blind. Without a command it reproduces the "
    "quick suite on this machine and says how that agrees with the committed records.",
)
new_app = typer.Typer(help="Start a new file.", no_args_is_help=True)
data_app = typer.Typer(help="Get official data.", no_args_is_help=True)
app.add_typer(new_app, name="new")
app.add_typer(data_app, name="data")

Data = Annotated[Path | None, typer.Option(help="Folder with raw data, before $BLINDBENCH_DATA.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Cells at once; by default one a core.")]
Plugin = Annotated[list[Path] | None, typer.Option("--plugin", help="A method in a file outside the repository.")]
Methods = Annotated[
    list[str] | None, typer.Option("--methods", "--method", help="Names, comma-separated or repeated; by default the suite's.")
]
Datasets = Annotated[
    list[str] | None,
    typer.Option(
        "--datasets",
        "--dataset",
        help="Names, comma-separated or repeated; NAME-lt50 and NAME@1000 are drawn from NAME; folder:PATH, npz:PATH and "
        "features:PATH are your own.",
    ),
]
Variant = Annotated[
    str | None,
    typer.Option(help="Name of a variant; on-METHOD takes another part, k2x asks for twice the clusters, k7 for seven."),
]


def main() -> None:
    """Runs the app; a UserError is one line and exit code 2, Ctrl-C a clean stop."""
    try:
        _check_datasets_is_ours()
        code = app(standalone_mode=False)
    except UserError as error:
        fail(str(error))
    except (KeyboardInterrupt, typer.Abort):
        print("stopped; the cells that ended have their records", file=sys.stderr)
        code = 130
    except OSError as error:
        if error.errno not in STOPPING:
            raise
        fail(f"the system refused: {error}; make room or give access, then run again: finished cells have their records")
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        fail(error.format_message())
    sys.exit(code if isinstance(code, int) else 0)


def fail(message: str) -> NoReturn:
    """Prints one error and leaves with 2."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _check_datasets_is_ours() -> None:
    import datasets

    here = Path(__file__).resolve().parent.parent
    if Path(datasets.__file__ or "").resolve().parent != here / "datasets":
        raise UserError(f"the package 'datasets' of another project was imported ({datasets.__file__}); run from {here}")


def _split(names: list[str] | None) -> list[str] | None:
    from datasets.outside import is_outside

    return [part for name in names for part in ([name] if is_outside(name) else name.split(",")) if part] if names else None


def _plug_in(paths: list[Path] | None) -> None:
    import methods

    for path in paths or []:
        methods.plug_in(path)


def _changes(texts: list[str] | None) -> dict[str, dict[str, Any]]:
    """`dec.lr=0.1` as {"dec": {"lr": "0.1"}}; the value is read by the field's type later."""
    changes: dict[str, dict[str, Any]] = {}
    for text in texts or []:
        target, equals, value = text.partition("=")
        method, dot, field = target.partition(".")
        if not (equals and dot and method and field):
            raise UserError(f"--set {text!r} is not METHOD.FIELD=VALUE, as in --set dec.lr=0.1")
        changes.setdefault(method, {})[field] = value
    return changes


@app.callback(invoke_without_command=True)
def reproduce(
    context: typer.Context,
    jobs: Jobs = None,
    data: Data = None,
    suite: Annotated[str, typer.Option(help="What to reproduce.")] = "quick",
) -> None:
    """Trains the quick suite anew into results/local/, shows its board and how it agrees with the committed records."""
    if context.invoked_subcommand is not None:
        return
    from rich.console import Console

    from benchmark.api import Choice
    from benchmark.report.tables import agreement
    from benchmark.report.text import board_text
    from benchmark.store import Results

    cells, local = Choice(suite=suite).cells(), Results.local()
    failed = _train(cells, local, jobs=jobs, data=data, anew=True)
    keys = {cell.key for cell in cells}
    mine = [(key, record) for key, record in local.records() if key in keys]
    print("\n" + board_text(local, suite))
    table = agreement(mine, Results.committed())
    counts = table["agrees"].value_counts()
    print("Against the committed records: " + ", ".join(f"{count} {word}" for word, count in counts.items()) + ".")
    worst = table[table.agrees.isin(["differs", "within tolerance"])].sort_values("largest_difference", ascending=False)
    for row in worst.head(10).itertuples():
        Console().print(f"  {row.cell}: {row.agrees}, by up to {row.largest_difference}", highlight=False, soft_wrap=True)
    raise typer.Exit(_report_failures(failed))


@app.command()
def run(
    suite: Annotated[str, typer.Option(help="Which suite; see `list suites`.")] = "quick",
    methods: Methods = None,
    datasets: Datasets = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="N means seeds 0..N-1.")] = None,
    budget: Annotated[str | None, typer.Option(help="smoke, quick, full or paper.")] = None,
    track: Annotated[str | None, typer.Option(help="transductive or inductive.")] = None,
    variant: Variant = None,
    k: Annotated[int | None, typer.Option(min=1, help="How many clusters to ask for; needed where data have no labels.")] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Side to which the images of folder:PATH are brought.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="METHOD.FIELD=VALUE, repeatable.")] = None,
    plugin: Plugin = None,
    jobs: Jobs = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads a cell; part of how bytes come out.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, …")] = "cpu",
    executor: Annotated[str, typer.Option(help="Where cells run: local, or dask for many machines.")] = "local",
    scheduler: Annotated[str | None, typer.Option(help="dask: a running scheduler, tcp://HOST:PORT.")] = None,
    cluster: Annotated[Path | None, typer.Option(help="dask: a TOML file that says how a queue starts workers.")] = None,
    data: Data = None,
    results: Annotated[
        Path | None,
        typer.Option(help="Where records go; by default the committed tables, or results/local for data of your own."),
    ] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Train chosen cells anew and replace fresh records too.")] = False,
    retry: Annotated[
        str | None, typer.Option(help="Train these again too: failed, diverged, timeout, out_of_memory or all.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be trained, and stop.")] = False,
) -> None:
    """Trains every chosen cell that has no fresh record; writes records, tables and leaderboard. Resumes.

    A cell whose method failed stays as it is, since it would fail again, until its code or settings change or --retry names
    its state. Cells without data, and failures that were not the method's, are tried in each run.
    """
    from benchmark.api import Choice, write_tables
    from benchmark.report.text import measured
    from benchmark.store import Results

    place_of_work = _executor(executor, scheduler, cluster, jobs)
    _plug_in(plugin)
    choice = Choice(suite, _split(methods), _split(datasets), seeds, budget, track, variant, device, _changes(settings), k, size)
    own = Results.local() if choice.outside else Results.committed()
    place = Results(results.resolve()) if results else own
    cells = choice.cells()
    failed = _train(
        cells, place, jobs=jobs, data=data, anew=accept, threads=threads, dry_run=dry_run, executor=place_of_work, retry=retry
    )
    if not dry_run and choice.outside:
        print(f"\n{measured(place, {cell.key for cell in cells})}\n\nrecords: {place.root}")
    elif not dry_run and results is None:
        for path in write_tables(place):
            print(f"wrote {path.name}")
    raise typer.Exit(_report_failures(failed))


def _executor(name: str, scheduler: str | None, cluster: Path | None, jobs: int | None) -> Any:
    """Where cells run; None for this machine."""
    if name not in ("local", "dask"):
        raise unknown("executor", name, ["local", "dask"])
    if name == "local":
        if scheduler or cluster:
            raise UserError("--scheduler and --cluster are for --executor dask; add it, or leave them out")
        return None
    if scheduler and cluster:
        raise UserError("--scheduler joins a running cluster, --cluster starts one; give one of them")
    from benchmark.executors.cluster import Cluster

    return Cluster(scheduler, cluster, jobs)


def _train(
    cells: list[Any],
    place: Any,
    *,
    jobs: int | None,
    data: Path | None,
    anew: bool,
    threads: int = 1,
    dry_run: bool = False,
    executor: Any = None,
    retry: str | None = None,
) -> list[Any]:
    """Says what will be trained and what it cost before, trains it; returns the outcomes that did not end well."""
    from rich.console import Console

    from benchmark.api import execute, expected_seconds, work
    from benchmark.executors.local import default_jobs
    from benchmark.live import Watch
    from benchmark.runner import Settings
    from benchmark.store import Cache, Results, cache_root, data_folder

    jobs = jobs or default_jobs()
    cache = Cache(cache_root())
    todo = work(cells, place, cache, anew=anew, retry=retry)
    expected = expected_seconds(todo.train, Results.committed())
    print(_foretold(todo, expected, jobs))
    if dry_run:
        for cell in todo.train:
            print(f"  {cell.key}")
        return []
    settings = Settings(place, cache, data=data_folder(data), threads=threads, jobs=jobs, fresh=anew)
    console = Console(soft_wrap=True)
    with Watch(console, total=len(todo.train), jobs=jobs, expected=expected) as watch:
        outcomes = execute(todo, settings, watcher=watch, expected=expected, executor=executor)
        return [*(one for one in outcomes if one.record["state"] not in ("ok", "not_applicable")), *todo.settled]


def _settled(outcomes: list[Any]) -> str:
    """What is said of failures that stay: "; 2 failed kept; --retry failed trains them again"."""
    states = sorted({outcome.record["state"] for outcome in outcomes})
    counts = [f"{sum(outcome.record['state'] == state for outcome in outcomes)} {state} kept" for state in states]
    word = states[0] if len(states) == 1 else "all"
    return "; ".join(["", *counts, f"--retry {word} trains them again"]) if outcomes else ""


def _foretold(todo: Any, expected: dict[str, float], jobs: int) -> str:
    """How many cells a run trains, and what they cost before."""
    from benchmark.live import duration

    if not todo.train:
        return f"0 cells to train; {len(todo.fresh)} fresh already{_settled(todo.settled)}"
    unknown_cost = sum(1 for value in expected.values() if not value)
    said = f"about {duration(sum(expected.values()) / jobs)} with {jobs} jobs" if sum(expected.values()) else "cost not known yet"
    extra = f" ({unknown_cost} of unknown cost)" if 0 < unknown_cost < len(expected) else ""
    return f"{len(todo.train)} cells to train, {said}{extra}; {len(todo.fresh)} fresh already{_settled(todo.settled)}"


def _report_failures(failed: list[Any]) -> int:
    """Lists what did not end well; the exit code."""
    for outcome in failed:
        print(f"{outcome.record['state']}: {outcome.cell.key}: {outcome.record['reason']}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} cells did not end well; each is a record with its state", file=sys.stderr)
    return int(bool(failed))


@app.command()
def score(
    suite: Annotated[str, typer.Option()] = "quick",
    methods: Methods = None,
    datasets: Datasets = None,
    seeds: Annotated[int | None, typer.Option(min=1)] = None,
    budget: Annotated[str | None, typer.Option()] = None,
    track: Annotated[str | None, typer.Option()] = None,
    variant: Variant = None,
    plugin: Plugin = None,
    data: Data = None,
) -> None:
    """Computes scores again from outputs in the cache, without training; records whose outputs are gone stay."""
    from benchmark.api import Choice, rescore, write_tables
    from benchmark.store import Results

    _plug_in(plugin)
    place = Results.committed()
    cells = Choice(suite, _split(methods), _split(datasets), seeds, budget, track, variant).cells()
    done, gone = rescore(cells, place, data)
    print(f"{done} cells scored again, {gone} have no outputs in the cache")
    for path in write_tables(place):
        print(f"wrote {path.name}")


@app.command()
def status(
    suite: Annotated[str, typer.Option(help="Which suite, or `all`.")] = "quick",
    methods: Methods = None,
    datasets: Datasets = None,
    seeds: Annotated[int | None, typer.Option(min=1)] = None,
    budget: Annotated[str | None, typer.Option()] = None,
    track: Annotated[str | None, typer.Option()] = None,
    variant: Annotated[str | None, typer.Option()] = None,
    jobs: Jobs = None,
    results: Annotated[Path | None, typer.Option(help="Where records lie; by default the committed ones.")] = None,
) -> None:
    """Says what is fresh, stale, missing or failed, and what a run would train and cost."""
    from benchmark import status as standing
    from benchmark.api import Choice, expected_seconds
    from benchmark.executors.local import default_jobs
    from benchmark.plan import load_suite, suites
    from benchmark.store import Cache, Results, cache_root

    place = Results(results.resolve()) if results else Results.committed()
    notes: dict[str, None] = {}
    for name in suites() if suite == "all" else [suite]:
        cells = Choice(name, _split(methods), _split(datasets), seeds, budget, track, variant).cells()
        found = standing.status(cells, place, Cache(cache_root()))
        print(f"{load_suite(name).title} (suite {name})\n\n{found.table()}\n\n{found.totals()}")
        expected = expected_seconds(found.work.train, Results.committed())
        print(f"a run: {_foretold(found.work, expected, jobs or default_jobs())}\n")
        notes |= dict.fromkeys(found.notes)
    for note in notes:
        print(note)


@app.command()
def verify(
    suite: Annotated[str | None, typer.Option(help="Only records of this suite's track, budget, methods and datasets.")] = None,
    methods: Annotated[list[str] | None, typer.Option(help="Only these.")] = None,
    datasets: Annotated[list[str] | None, typer.Option(help="Only these.")] = None,
    results: Annotated[Path | None, typer.Option(help="Where records lie; by default the committed ones.")] = None,
    outputs: Annotated[bool, typer.Option(help="Score outputs in the cache again; takes as long as scoring.")] = True,
    since: Annotated[
        str | None, typer.Option(help="A commit: records new since must also be of today's code, and made by committed code.")
    ] = None,
) -> None:
    """Checks records: against their outputs where these are in the cache, else against their contingency; needs no data."""
    from benchmark import verify as checks
    from benchmark.plan import load_suite
    from benchmark.store import Cache, Results, cache_root

    place = Results(results.resolve()) if results else Results.committed()
    wanted = checks.among(load_suite(suite) if suite else None, _split(methods), _split(datasets))
    found = checks.verify(place, Cache(cache_root()), wanted=wanted, outputs=outputs)
    if since is not None:
        from benchmark.arrivals import arrivals

        count, problems = arrivals(place, since)
        found.problems += problems
        print(f"{count} records are new or changed since {since}")
    for problem in found.problems:
        print(problem)
    print(
        f"{found.records} records: {found.from_table} scores follow from contingencies, {found.from_outputs} from outputs, "
        f"{found.unseen} need outputs that are not here; {len(found.problems)} problems"
    )
    raise typer.Exit(int(bool(found.problems)))


@app.command()
def restamp(
    suite: Annotated[str | None, typer.Option(help="Only records of this suite's track, budget, methods and datasets.")] = None,
    methods: Annotated[list[str] | None, typer.Option(help="Only these.")] = None,
    datasets: Annotated[list[str] | None, typer.Option(help="Only these.")] = None,
    data: Data = None,
    results: Annotated[Path | None, typer.Option(help="Where records lie; by default the committed ones.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Try all, and write nothing.")] = False,
) -> None:
    """Re-signs stale records whose method and metrics give now what they gave at their commit: a tidy-up costs no retraining."""
    from benchmark import restamp as stamps
    from benchmark.api import write_tables
    from benchmark.plan import load_suite
    from benchmark.store import Cache, Results, cache_root, data_folder
    from benchmark.verify import among

    place = Results(results.resolve()) if results else Results.committed()
    wanted = among(load_suite(suite) if suite else None, _split(methods), _split(datasets))
    counts = {True: 0, False: 0}
    for answer in stamps.restamp(place, Cache(cache_root()), wanted=wanted, data=data_folder(data), dry_run=dry_run):
        counts[bool(answer.renewed)] += 1
        word = "stays stale" if not answer.renewed else "would be re-signed" if dry_run else "re-signed"
        print(f"{word}: {answer.key}: {answer.said}")
    print(f"{counts[True]} {'to re-sign' if dry_run else 're-signed'}, {counts[False]} stay stale")
    if not dry_run and results is None and counts[True]:
        for path in write_tables(place):
            print(f"wrote {path.name}")


@app.command()
def leaderboard(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail where a committed file is out of date.")] = False,
) -> None:
    """Regenerates leaderboard.md, the tables and the head in the README from the committed records."""
    from benchmark.api import stale_files, write_tables
    from benchmark.store import ROOT, Results

    place = Results.committed()
    changed = stale_files(place) if check else write_tables(place)
    for path in changed:
        print(f"{'out of date' if check else 'wrote'}: {path.relative_to(ROOT)}")
    if check and changed:
        print("next: uv run run_all.py leaderboard, and commit what it writes")
        raise typer.Exit(1)


@app.command()
def page(
    out: Annotated[Path, typer.Option(help="Where it goes: a new or empty folder, or an older page.")] = Path("site"),
    results: Annotated[Path | None, typer.Option(help="Where records lie; by default the committed ones.")] = None,
) -> None:
    """Writes the board as a static site that opens from disk: OUT/index.html."""
    from benchmark.report.page import build
    from benchmark.store import Results

    made = build(Results(results.resolve()) if results else Results.committed(), out.resolve())
    print(f"wrote {out}: {made['pages']} pages, {made['cells']} rows, {made['bytes'] / 2**20:.1f} MiB; open {out / 'index.html'}")


@app.command()
def compare(
    old: Annotated[str, typer.Argument(help="A commit, or a folder with records.")],
    new: Annotated[str, typer.Argument(help="A commit, or a folder with records; by default this checkout.")] = ".",
    markdown: Annotated[Path | None, typer.Option(help="Write the text to this file, at its end if it exists.")] = None,
    fail: Annotated[
        bool, typer.Option("--fail-on-unexplained", help="Exit code 1 where a score moved though its method's code did not.")
    ] = False,
) -> None:
    """Says which cells are new, gone, or moved by more than noise between two states of the records, and whether code did it."""
    from benchmark.report.compare import compare as side_by_side
    from benchmark.report.compare import results_of, text

    with results_of(old) as before, results_of(new) as after:
        found = side_by_side(before, after)
    if markdown:
        with markdown.open("a", encoding="utf-8", newline="\n") as stream:
            stream.write(text(found))
    else:
        print(text(found), end="")
    if fail and found.unexplained:
        print(
            f"{len(found.unexplained)} scores moved though no code did: restore the records, or run their cells", file=sys.stderr
        )
        raise typer.Exit(1)


@app.command("list")
def list_(
    room: Annotated[str, typer.Argument(help=", ".join(ROOMS))] = "methods", plugin: Plugin = None, data: Data = None
) -> None:
    """Lists what is there, from the cards alone; of datasets also whether their files are on this disk."""
    from benchmark.report.text import listing

    if room not in ROOMS:
        raise unknown("room", room, ROOMS)
    _plug_in(plugin)
    print(listing(room, data))


@app.command()
def show(name: Annotated[str, typer.Argument(help="A method, dataset, metric or suite.")], plugin: Plugin = None) -> None:
    """Shows one card, and what was measured of it."""
    from benchmark.report.text import card_text

    _plug_in(plugin)
    print(card_text(name))


@new_app.command("method")
def new_method(name: str, family: Annotated[str, typer.Option(help="The folder it goes to.")] = "community") -> None:
    """Writes a method's file that passes the contract tests; then make it yours."""
    from benchmark.skeleton import write_method

    path = write_method(name, family)
    print(f"wrote {path}")
    print(f"next: fill it in, then: uv run run_all.py run --methods {name} --datasets digits --seeds 3")


@data_app.command("get")
def data_get(names: Annotated[list[str], typer.Argument(help="Datasets; see `list datasets`.")]) -> None:
    """Downloads official files into the cache, checks them, and prepares the dataset."""
    import datasets
    from benchmark.store import cache_root, data_folder
    from datasets.prepare import hashes, prepare

    for name in names:
        found = prepare(name, cache=cache_root(), data=data_folder(None), download=True)
        print(f"{name}: ready, n = {found.n:,}")
        if not datasets.card(name).sha_inputs and not datasets.card(name).base:
            print(f"  {hashes(name, cache=cache_root(), data=data_folder(None))}; compare with others' and put them on its card")


@data_app.command("export")
def data_export(
    name: Annotated[str, typer.Argument(help="A dataset; see `list datasets`.")],
    out: Annotated[Path | None, typer.Option(help="The .npz to write; by default NAME.npz here.")] = None,
    data: Data = None,
) -> None:
    """Writes a dataset's inputs and split, never its labels, in the order that `submit` wants rows in."""
    from benchmark.store import cache_root, data_folder
    from benchmark.submit import export

    place = out or Path(f"{name}.npz")
    print(f"wrote {place}: {export(name, place, cache=cache_root(), data=data_folder(data)):,} rows")


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(help="An .npz with assign, embedding, or both; soft; content. See docs/submit.md.")],
    method: Annotated[str, typer.Option(help="Its name, which none of ours has.")],
    dataset: Annotated[str, typer.Option(help="The dataset; see `list datasets`.")],
    seed: Annotated[int, typer.Option(min=0, help="Which of your seeds it is: 0, 1, …")] = 0,
    track: Annotated[str, typer.Option(help="transductive or inductive.")] = "transductive",
    budget: Annotated[str, typer.Option(help="Beside rows of which budget it stands.")] = "full",
    told: Annotated[str, typer.Option(help="What the method was told, comma-separated; empty for nothing.")] = "k",
    title: Annotated[str, typer.Option(help="Of the paper.")] = "",
    authors: Annotated[str, typer.Option(help="Of the paper.")] = "",
    url: Annotated[str, typer.Option(help="Of the paper or the code.")] = "",
    results: Annotated[Path | None, typer.Option(help="Where the record goes; by default the committed tables.")] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Replace a record of the same name and seed.")] = False,
    data: Data = None,
) -> None:
    """Scores assignments or embeddings made elsewhere; the row says self-reported fit, and is unranked."""
    from benchmark.api import write_tables
    from benchmark.report.text import measured
    from benchmark.runner import Bench, Settings
    from benchmark.store import Cache, Results, cache_root, data_folder
    from benchmark.submit import Claim, admit
    from benchmark.submit import score as score_it

    words = [word.strip() for word in told.split(",") if word.strip()]
    claim = Claim(method, dataset, seed, track, budget, told=words, title=title, authors=authors, url=url)
    place = Results(results.resolve()) if results else Results.committed()
    settings = Settings(place, Cache(cache_root()), data=data_folder(data))
    admitted = admit(file, claim, settings, accept=accept)
    with Bench.open(settings) as bench:
        score_it(admitted, bench)
    seeds = admitted.cell.key.rpartition("-s")[0]
    print(measured(place, {key for key, _ in place.files() if key.rpartition("-s")[0] == seeds}))
    for path in write_tables(place) if results is None else []:
        print(f"wrote {path.name}")


@app.command()
def embed(
    backbone: Annotated[str, typer.Option(help="timm:NAME.")],
    dataset: Annotated[str, typer.Option(help="A dataset of images; see `list datasets`.")],
    out: Annotated[Path | None, typer.Option(help="The .npz to write; by default DATASET-NAME.npz here.")] = None,
    weights: Annotated[str, typer.Option(help="pretrained, random, or the path of a .safetensors file.")] = "pretrained",
    download: Annotated[bool, typer.Option("--download", help="Fetch weights and data that aren't on this disk.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    batch: Annotated[int, typer.Option(min=1, help="Images at once.")] = 256,
    data: Data = None,
) -> None:
    """Writes the features of a pretrained model to a file, which joins a run by --dataset features:FILE."""
    from benchmark.embed import embed as write_features
    from benchmark.store import cache_root, data_folder

    place = out or Path(f"{dataset}-{backbone.partition(':')[2].replace('/', '_')}.npz")
    options: dict[str, Any] = {"weights": weights, "download": download, "device": device, "batch": batch}
    n, d = write_features(backbone, dataset, place, cache=cache_root(), data=data_folder(data), **options)
    print(f"wrote {place}: {n:,} × {d}\nnext: uv run run_all.py run --suite vectors --dataset features:{place}")


@app.command()
def doctor(data: Data = None) -> None:
    """Says what this machine has: versions, cores, folders, limits, datasets."""
    from benchmark.report.text import health

    print(health(data))
