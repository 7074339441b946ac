"""leaderboard.md, and the head of it in the README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import datasets
from benchmark.ground.errors import UserError
from benchmark.plan import Suite, load_suite, suites
from benchmark.report import diagram, exports
from benchmark.report import same_features as same
from benchmark.report.beside import beside
from benchmark.report.board import KINDS, Board, Row, is_bound, touched_by
from benchmark.report.honesty import honesty
from benchmark.report.marks import label, records_of, score
from benchmark.report.published import reproduction
from benchmark.report.quick import quick_beside_full
from benchmark.report.statistics import MAX_METHODS, MIN_DATASETS, RankTest
from benchmark.report.tables import Group, csv, summary
from benchmark.report.unknown_k import unknown_k
from benchmark.report.words import escape, folded, link, percent, table
from benchmark.store import PROTOCOL, ROOT, Results

BEGIN, END = "<!-- leaderboard: generated, don't edit -->", "<!-- end of leaderboard -->"
DETAILS = {"acc": "ACC", "nmi": "NMI", "ari": "ARI", "ami": "AMI", "knn": "kNN", "linear_probe": "probe"}
LONG_TAIL = {
    "balanced_acc": "balanced ACC",
    "macro_f1": "macro-F1",
    "acc_head": "head",
    "acc_medium": "medium",
    "acc_tail": "tail",
}
MOST_PAIRED = 20  # a wider table of pairs is in leaderboard.json alone


def overview(board: Board, suite: Suite, sets: Sequence[str] | None = None, *, brief: bool = False) -> str:
    """Methods × datasets, ACC, with what a cell costs. sets: by default all that have records. brief: without cost and links."""
    shown = board.shown(suite) if sets is None else list(sets)
    if not shown:
        return "No records yet.\n"
    best, front = {name: board.best(suite, name) for name in shown}, board.front(suite, shown)
    rows = [row for row in board.rows(suite) if any(board.find(name, row[0], suite, row[1]) for name in shown)]
    kinds = {row: board.kind(suite, row) for row in rows}
    heads = ["ACC, %", *shown, *([] if brief else ["core-seconds"])]
    body, last = [], ""
    for row in rows:
        if kinds[row] != last and set(kinds.values()) != {"ranked"}:
            body.append([f"***{KINDS[kinds[row]]}***", *[""] * (len(heads) - 1)])
        last = kinds[row]
        cells = [_cell(board, suite, name, row, row in best[name], brief) for name in shown]
        cost = board.cost(suite, row, shown)
        paid = f"{cost:.3g}{' ◆' if row in front else ''}" if cost is not None else ""
        body.append([label(*row, board.url(row[0]), file=not brief), *cells, *([] if brief else [paid])])
    if all(datasets.card(name).bayes_acc is not None for name in shown):
        ceiling = [percent(datasets.card(name).bayes_acc) for name in shown]
        body.append(["*Bayes: what no rule exceeds*", *ceiling, *([] if brief else [""])])
    return table(heads, body)


def _cell(board: Board, suite: Suite, dataset: str, row: Row, best: bool, brief: bool) -> str:
    group = board.find(dataset, row[0], suite, row[1])
    text = score(group, "acc")
    text = f"**{text}**" if best else text
    return text if brief or not group or not text else link(text, records_of(dataset, row[0]))


def details(board: Board, suite: Suite, dataset: str) -> str:
    """One dataset: every headline score, what the method is told, what choosing by label would have claimed, cost."""
    rows = [(row, group) for row in board.rows(suite) if (group := board.find(dataset, row[0], suite, row[1]))]
    if not rows:
        return ""
    found_k = any("k" not in told.split() for _, group in rows for told in group.words("told"))
    tailed = "-lt" in dataset
    columns = {**DETAILS, **(LONG_TAIL if tailed else {})}
    shown = [name for name in columns if name != "ami" or found_k]
    best = {name: board.best(suite, dataset, name) for name in shown}
    body = []
    for row, group in rows:
        gap, seconds, peak = group.mean("oracle_gap_acc"), group.mean("total_cpu_seconds"), group.mean("peak_mib")
        scores = [f"**{text}**" if row in best[name] and (text := score(group, name)) else score(group, name) for name in shown]
        told = escape(", ".join(sorted({word for words in group.words("told") for word in words.split()})))
        body.append(
            [
                label(*row, board.url(row[0])) + " *(self-reported fit)*" * (board.kind(suite, row) == "self_reported"),
                *scores,
                percent(gap),
                percent(board.agrees(dataset, row, suite)),
                told,
                link(str(len(group.ok)), records_of(dataset, row[0])),
                "" if seconds is None else f"{seconds:.3g}",
                "" if peak is None else f"{peak:.0f}",
            ]
        )
    heads = ["", *[columns[name] for name in shown], "oracle gap", "seeds agree", "told", "seeds", "core-seconds", "MiB"]
    return folded(f"<b>{dataset}</b>: every score", f"{about(dataset, rows)}\n\n{table(heads, body)}")


def about(dataset: str, rows: Sequence[tuple[Row, Group]]) -> str:
    """A dataset in a sentence."""
    card = datasets.card(dataset)
    tuners = touched_by(dataset)
    role = f"not untouched: settings of {', '.join(tuners)} were chosen on it" if tuners else "untouched: no card names it"
    role = "development: settings may be tuned on it" if tuners == ["development"] else role
    best = f"; no rule exceeds an accuracy of {percent(card.bayes_acc)} (Bayes)" if card.bayes_acc is not None else ""
    model = f"; features of {escape(card.pretrained)}, pretrained" if card.pretrained else ""
    floors = [value for _, group in rows if (value := group.mean("acc_chance")) is not None]
    low, high = (percent(min(floors)), percent(max(floors))) if floors else ("", "")
    chance = f"; a random labelling scores {low if low == high else f'{low} to {high}'}" if floors else ""
    return f"{escape(card.title)}: n = {card.n:,}, {card.classes} classes{chance}{best}{model}; {role}."


INTRO = f"""# Leaderboard

Generated by `uv run run_all.py leaderboard`; never edited by hand. Protocol {PROTOCOL}. The same numbers as files:
[runs.csv](results/{PROTOCOL}/runs.csv), [summary.csv](results/{PROTOCOL}/summary.csv),
[leaderboard.json](results/{PROTOCOL}/leaderboard.json); [what their fields mean](docs/results.md).

Methods are fitted blind: no label reaches them. The last state counts, every seed counts. Scores are percent,
mean ± standard deviation over seeds. **Bold**: the best mean of the methods, and every other that is not clearly worse:
the 95 % interval of the differences, paired by seed, covers 0. Bold needs three seeds, none failed, none stale.
Bounds frame the board and are unranked. Methods are ordered by mean rank in ACC, on untouched datasets where there are
any, incomplete rows last; that order alone is no verdict.

A dataset is *untouched* where no method's card names it, or the set it is drawn from, among those its settings were
chosen on. Ranks and rank tests are taken on untouched datasets alone.

Marks: `4/5` four of five seeds ended ok, the mean is incomplete · `n=1` one seed, no spread · `†` stale: code, settings
or this metric have changed since · `○` collapsed in a seed (docs/protocol.md) · `–` not applicable · `◆` no other row
costs less and scores higher · ⌂ the method's file. *Core-seconds*: processor time a cell, the parts it stands on
included. *Oracle gap*: what choosing the best of ten snapshots by label would have added to ACC. *Seeds agree*: mean ARI
between the assignments of two seeds, no labels involved. *Told*: what the method or its clustering was given.
Clusters of a method that only embeds come from k-means on its embedding. In the transductive track the embedding has
seen the inputs that kNN and probe are tested on.
"""


def leaderboard(board: Board) -> str:
    """The whole text of leaderboard.md."""
    parts = [INTRO]
    for name in suites():
        suite = load_suite(name)
        if board.shown(suite):
            parts.append(section(board, suite))
    parts.append(reproduction(board.groups))
    parts.append(honesty(board))
    return "\n".join(part.strip("\n") + "\n" for part in parts if part)


def section(board: Board, suite: Suite) -> str:
    """One suite in one track: untouched datasets, the others, ranks, and every score of each dataset, folded."""
    clean = board.untouched(suite)
    others = [name for name in board.shown(suite) if name not in clean]
    parts = [f"## {suite.title}\n\nSuite `{suite.name}`: {suite.track} track, budget `{suite.budget}`."]
    for title, sets in (("Untouched datasets", clean), ("Development sets, and sets that settings were chosen on", others)):
        if sets:
            parts += [f"### {title}", overview(board, suite, sets), pairwise(board, suite, sets)]
    parts += [unknown_k(board, suite), "### Ranks", ranks(board, suite), quick_beside_full(board, suite)]
    parts += [text for name in [*clean, *others] for text in (details(board, suite, name), beside(board, suite, name))]
    return "\n".join(part.strip("\n") + "\n" for part in parts if part)


def pairwise(board: Board, suite: Suite, sets: Sequence[str]) -> str:
    """Each method against each: wins, ties and losses by the paired interval."""
    found = board.pairs(suite, sets)
    rows = [row for row in board.competing(suite) if any(row in pair for pair in found)]
    if not 2 <= len(rows) <= MOST_PAIRED:
        return ""
    body = []
    for row in rows:
        counts = [found.get((row, other)) for other in rows]
        cells = ["" if c is None else f"{c['win']}/{c['tie']}/{c['loss']}" for c in counts]
        total = [sum(c[word] for c in counts if c) for word in ("win", "tie", "loss")]
        body.append([escape(row[0]), *cells, "/".join(map(str, total))])
    intro = "Wins/ties/losses of the row against the column, dataset by dataset: the interval of the differences in ACC, "
    text = f"{intro}paired by seed, lies above 0, covers it, lies below.\n\n"
    return folded("Pair by pair", text + table(["", *[escape(row[0]) for row in rows], "all"], body))


def ranks(board: Board, suite: Suite) -> str:
    """What the rank tests say, or that there are too few datasets."""
    parts, count = [], len({datasets.root(name) for name in board.untouched(suite)})
    for name, found in board.ranking(suite).items():
        if isinstance(found, RankTest):
            parts.append(_ranked(suite, name, found))
        else:
            parts.append(f"{f'`{name}`: ' if count >= MIN_DATASETS else ''}{found}.")
    words = f"{count} untouched dataset{'s' * (count != 1)}; rank tests want at least {MIN_DATASETS}, and at most {MAX_METHODS} "
    intro = f"{words}methods of one class of backbone (a family) with all their seeds on each.\n\n"
    return intro + "\n".join(part[0].upper() + part[1:] for part in dict.fromkeys(parts))


def _ranked(suite: Suite, name: str, found: RankTest) -> str:
    body = [
        [escape(method), f"{rank:.2f}", *[_p(found.nemenyi[i, j]) if i != j else "" for j in range(len(found.methods))]]
        for i, (method, rank) in enumerate(zip(found.methods, found.mean_ranks, strict=True))
    ]
    holm = [
        [escape(method), *[_p(found.wilcoxon[i, j]) if i != j else "" for j in range(len(found.methods))]]
        for i, method in enumerate(found.methods)
    ]
    heads = list(map(escape, found.methods))
    verdict = "not all rank alike" if found.p < 0.05 else "no difference shown"
    return (
        f"Class `{name}`, {len(found.datasets)} datasets: Friedman χ² = {found.statistic:.2f}, p = {_p(found.p)}, {verdict}; "
        f"Nemenyi's critical difference {found.critical:.2f}.\n\n"
        f"![mean ranks of class {name}](results/{PROTOCOL}/{diagram.file_name(suite.name, name)})\n\n"
        + folded("p of each pair, Nemenyi", table(["", "mean rank", *heads], body))
        + "\n"
        + folded("p of each pair, Wilcoxon with Holm's correction", table(["", *heads], holm))
    )


def _p(value: float) -> str:
    return "<0.001".replace("<", "&lt;") if value < 0.001 else f"{value:.3f}"


def head(board: Board) -> str:
    """The few lines of the board that the README shows."""
    return overview(board, load_suite("quick"), brief=True)


def generated(results: Results) -> dict[Path, str]:
    """Every generated file of the repository with its text as it should be today."""
    board = Board.of(results)
    files = {
        ROOT / "leaderboard.md": leaderboard(board),
        results.root / "runs.csv": csv(board.table),
        results.root / "summary.csv": csv(summary(board.table, board.groups, board.agreement)),
        results.root / "leaderboard.json": exports.leaderboard_json(board),
        **{results.root / name: text for name, text in diagram.diagrams(board).items()},
    }
    for path, begin, end, text in (
        (ROOT / "README.md", BEGIN, END, head(board)),
        (ROOT / "docs" / "results.md", exports.BEGIN, exports.END, exports.dictionary()),
        (ROOT / "docs" / "same-features.md", same.BEGIN, same.END, same.same_features(board)),
    ):
        if path.is_file():
            files[path] = between(path, begin, end, text)
    return files


def between(path: Path, begin: str, end: str, text: str) -> str:
    """A file's text with what stands between two marks made anew."""
    whole = path.read_text(encoding="utf-8")
    if begin not in whole or end not in whole:
        raise UserError(f"{path.name} has lost its lines {begin!r} and {end!r}; put them back")
    before, rest = whole.split(begin, 1)
    return f"{before}{begin}\n\n{text}\n{end}{rest.split(end, 1)[1]}"


__all__ = ["BEGIN", "DETAILS", "END", "Board", "details", "generated", "head", "is_bound", "leaderboard", "overview"]
