"""The page: the board as a static site that opens from disk. One folder, no network, a function of the committed files.

Whatever comes from records, cards or file names is text: Jinja escapes it in the pages, `script` in the data, and the scripts
put it in as text alone. A policy in each page forbids every script and connection but the site's own.
"""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import datasets
import methods
import metrics
from benchmark.ground.errors import UserError
from benchmark.ground.files import replacing, sha256, write_text
from benchmark.plan import Suite, load_suite, suites
from benchmark.report.board import Board, is_bound
from benchmark.report.cells import cell_data, read_details
from benchmark.report.markdown import DETAILS
from benchmark.report.tables import Group
from benchmark.report.words import address as web_address
from benchmark.store import PROTOCOL, Results

SITE = Path(__file__).parent / "site"
MARK = "index.html"  # a folder with this text in it is a page, and may be written anew
GENERATOR = '<meta name="generator" content="BlindBench">'
COSTS = {"total_cpu_seconds": "core-seconds, with parts", "peak_mib": "peak memory, MiB", "parameters": "parameters"}
HEADS = [*DETAILS, "acc_chance", "oracle_gap_acc", "total_cpu_seconds", "peak_mib"]
_KINDS = {"supervised": "given labels or pairs", "pretrained": "pretrained weights", "self_reported": "self-reported fit"}
_SAFE = re.compile(r"[a-z0-9][a-z0-9_.@-]{0,79}")
_EXPORT = re.compile(r"export\s*\{([^{}]*)\};?")


def build(results: Results, out: Path) -> dict[str, int]:
    """Writes the site into `out`, which must be new, empty or an older page; returns how many pages, cells and bytes it has."""
    jinja = _jinja()
    if out.exists() and not _is_ours(out):
        raise UserError(f"{out} is there and is no page of this program; give a new or an empty folder by --out")
    board = Board.of(results)
    content = Content(board, read_details(results))
    with replacing(out) as site:
        _vendor(site / "vendor")
        for name in ("style.css", "common.js", "board.js", "method.js", "dataset.js"):
            write_text(site / name, (SITE / name).read_text(encoding="utf-8"))
        write_text(site / "data.js", script("window.BB_DATA", content.index()))
        page = jinja.get_template("index.html")
        write_text(site / "index.html", page.render(root="", **content.index_page()))
        for room, names in (("method", content.methods), ("dataset", content.datasets)):
            page = jinja.get_template(f"{room}.html")
            for name in names:
                facts = content.method_page(name) if room == "method" else content.dataset_page(name)
                write_text(site / f"{room}s" / f"{address(name)}.html", page.render(root="../", **facts))
        for key in board.groups:
            write_text(site / "cells" / f"{cell_id(key)}.js", script("window.BB_CELL", content.cell(key)))
    files = [path for path in out.rglob("*") if path.is_file()]
    return {
        "pages": sum(path.suffix == ".html" for path in files),
        "cells": len(board.groups),
        "bytes": sum(path.stat().st_size for path in files),
    }


def _is_ours(out: Path) -> bool:
    if not out.is_dir():
        return False
    mark = out / MARK
    return not any(out.iterdir()) or (mark.is_file() and GENERATOR in mark.read_text(encoding="utf-8", errors="replace"))


def script(name: str, value: Any) -> str:
    """A JavaScript file that sets a global to a value; no character of the value can end a string, a script or a comment."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f"{name} = {text};\n"


def address(name: str) -> str:
    """A name as a file's name: as it is where it is plain, else a hash."""
    return name if _SAFE.fullmatch(name) and ".." not in name else sha256(name.encode("utf-8", "replace"))[:16]


def cell_id(key: tuple[str, ...]) -> str:
    """The file of a group of seeds, (dataset, method, variant, track, budget)."""
    return "--".join(map(address, key))


def _jinja() -> Any:
    try:
        import jinja2
    except ImportError:
        raise _lacks("jinja2") from None
    loader = jinja2.FileSystemLoader(SITE)
    made = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(words=_words, link=_web, address=address)
    made.globals.update(protocol=PROTOCOL, generator=GENERATOR)
    return made


def _lacks(package: str) -> UserError:
    return UserError(f"the page needs the package {package}; get it and its fellows by `uv sync --extra page`")


def _words(value: Any) -> str:
    """A value of a card in words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_words(item)}" for key, item in value.items())
    if isinstance(value, set | frozenset):
        return ", ".join(sorted(map(str, value)))
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _web(url: str | None) -> str:
    """An address that may be linked to, or nothing: a card may say `javascript:…`."""
    return web_address(url) or ""


def _vendor(folder: Path) -> None:
    """Puts the two libraries and their licences into the site, from the packages that carry them."""
    table, plot = _package("itables"), _package("plotly")
    bundle = (table / "html" / "dt_bundle.js").read_text(encoding="utf-8")
    write_text(folder / "datatables.js", as_script(bundle))
    write_text(folder / "datatables.css", (table / "html" / "dt_bundle.css").read_text(encoding="utf-8"))
    write_text(folder / "plotly.min.js", (plot / "package_data" / "plotly.min.js").read_text(encoding="utf-8"))
    notes = bundle[bundle.rfind("/*! Bundled license information") :]
    write_text(
        folder / "LICENCES.txt", "\n\n".join([_licence("itables"), f"DataTables and jQuery:\n\n{notes}", _licence("plotly")])
    )


def as_script(module: str) -> str:
    """The bundle of DataTables as a plain script: browsers load no module from disk. Its default export is the library."""
    export = next(reversed(list(_EXPORT.finditer(module))), None)
    library = re.search(r"([\w$]+) as default", export.group(1)) if export else None
    if export is None or library is None:
        raise UserError("the package itables holds another bundle than this program knows; install itables 2.9")
    before, after = module[: export.start()], module[export.end() :]
    return f'(function () {{"use strict";\n{before}\nwindow.DataTable = {library.group(1)};\n{after}\n}})();\n'


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.origin:
        raise _lacks(name)
    return Path(spec.origin).parent


def _licence(name: str) -> str:
    """The licence texts in a package's metadata."""
    found = [path for path in metadata.files(name) or [] if "licen" in path.name.lower() and ".dist-info" in str(path)]
    texts = [Path(str(path.locate())).read_text(encoding="utf-8") for path in found]
    return "\n\n".join([f"{name} {metadata.version(name)}:", *texts])


class Content:
    """What the pages say, as plain values."""

    def __init__(self, board: Board, details: dict[tuple[str, ...], list[dict[str, Any]]]) -> None:
        self.board, self.details = board, details
        keys = list(board.groups)
        self.methods = sorted({*methods.names(), *(key[1] for key in keys)})
        self.datasets = sorted({key[0] for key in keys} | {name for name in datasets.names()})
        any_suite = load_suite("quick")
        self.kinds = {
            key[1:]: _KINDS.get(board.kind(replace(any_suite, track=key[3], budget=key[4]), (key[1], key[2])), "") for key in keys
        }
        self.suites = [suite for name in suites() if board.shown(suite := load_suite(name))]
        measured = {name for name in metrics.names() if any(group.values(name) for group in board.groups.values())}
        lead = [name for name in DETAILS if name in measured]
        self.metrics = [*lead, *sorted(measured - set(lead))]

    def index(self) -> dict[str, Any]:
        """All that the board's script shows."""
        return {
            "metrics": self.columns(),
            "suites": [
                {
                    "name": suite.name,
                    "title": suite.title,
                    "track": suite.track,
                    "budget": suite.budget,
                    "datasets": self.board.shown(suite),
                    "order": [list(row) for row in self.board.rows(suite)],
                    "best": {name: self.best(suite, name) for name in DETAILS if name in self.metrics},
                }
                for suite in self.suites
            ],
            "methods": {name: self.method(name) for name in self.methods},
            "datasets": {name: self.dataset(name) for name in self.datasets},
            "rows": [self.row(key, group) for key, group in self.board.groups.items()],
        }

    def best(self, suite: Suite, metric: str) -> dict[str, list[str]]:
        """dataset -> the best row and those not clearly worse, as on the leaderboard."""
        sets = self.board.shown(suite)
        return {name: sorted("/".join(row) for row in self.board.best(suite, name, metric)) for name in sets}

    def columns(self) -> list[dict[str, Any]]:
        """What may be shown of a row: metrics, headlines first, then costs."""
        costs = [{"name": name, "title": title, "raw": True, "better": "lower"} for name, title in COSTS.items()]
        return [*map(self.metric, self.metrics), *costs]

    def metric(self, name: str) -> dict[str, Any]:
        """A metric for the scripts; raw: not a part of one."""
        card = metrics.card(name)
        raw = card.high != 1
        return {"name": name, "title": DETAILS.get(name, card.title), "raw": raw, "better": card.better}

    def method(self, name: str) -> dict[str, Any]:
        """A method for the board."""
        family, told, title = "unknown", [], ""
        if name in methods.names():
            entry = methods.entry(name)
            family, told, title = entry.family or "other", sorted(entry.card.told), entry.card.title
        return {"title": title, "family": family, "told": told, "bound": is_bound(name), "page": address(name)}

    def dataset(self, name: str) -> dict[str, Any]:
        """A dataset for the board."""
        card = _dataset(name)
        return {"title": card.title if card else "", "development": bool(card and card.development), "page": address(name)}

    def row(self, key: tuple[str, ...], group: Group) -> dict[str, Any]:
        """A group of seeds for the board: [mean, std, low, high] of each metric."""
        names = [*self.metrics, *COSTS]
        return {
            **dict(zip(("dataset", "method", "variant", "track", "budget"), key, strict=True)),
            "kind": self.kinds[key[1:]],
            "ok": len(group.ok),
            "seeds": group.expected,
            "states": group.states,
            "stale": group.stale,
            "collapsed": any("collapsed" in flags for flags in group.words("flags")),
            "told": sorted({word for words in group.words("told") for word in words.split()}),
            "scores": {name: numbers for name in names if (numbers := _numbers(group, name))},
            "cell": cell_id(key),
        }

    def cell(self, key: tuple[str, ...]) -> dict[str, Any]:
        """Everything that a method's page shows of a group of seeds."""
        card = _dataset(key[0])
        return {
            **self.row(key, self.board.groups[key]),
            "id": cell_id(key),
            "metrics": self.columns(),
            "classes": list(card.class_names) if card else [],
            "licence": f"{card.title}: {card.licence}; {card.source}" if card else "",
            **cell_data(self.details.get(key, []), self.board.results, images=card.licence if card else ""),
        }

    def index_page(self) -> dict[str, Any]:
        """For index.html."""
        named = {name: self.method(name) for name in self.methods}
        families: dict[str, list[str]] = {}
        for name, facts in named.items():
            families.setdefault(facts["family"], []).append(name)
        return {"title": "Board", "families": dict(sorted(families.items())), "cards": {n: _dataset(n) for n in self.datasets}}

    def method_page(self, name: str) -> dict[str, Any]:
        """For method.html."""
        entry = methods.entry(name) if name in methods.names() else None
        keys = [key for key in self.board.groups if key[1] == name]
        return {
            "title": name,
            "name": name,
            "card": entry.card if entry else None,
            "family": entry.family if entry else "",
            "url": self.board.url(name),
            "heads": [self.head(head) for head in HEADS],
            "rows": [{"label": list(key), "cell": cell_id(key), **self.cells(key)} for key in keys],
        }

    def dataset_page(self, name: str) -> dict[str, Any]:
        """For dataset.html."""
        card = _dataset(name)
        keys = [key for key in self.board.groups if key[0] == name]
        keys.sort(key=lambda key: (not is_bound(key[1]), -(self.board.groups[key].mean("acc") or -1), key))
        sizes = list(zip(card.class_names or range(card.classes), card.class_counts, strict=False)) if card else []
        tuned = [m for m in methods.names() if not is_bound(m) and _root(name) in methods.card(m).tuned_on]
        return {
            "title": name,
            "name": name,
            "card": card,
            "tuned": tuned,
            "sizes": sizes,
            "heads": [self.head(head) for head in HEADS],
            "rows": [{"label": list(key), "cell": cell_id(key), "bound": is_bound(key[1]), **self.cells(key)} for key in keys],
        }

    def head(self, name: str) -> str:
        """A column's head on the pages of methods and datasets."""
        return {"acc_chance": "chance", "oracle_gap_acc": "oracle gap", "total_cpu_seconds": "core-s", "peak_mib": "MiB"}.get(
            name, DETAILS.get(name, name)
        )

    def cells(self, key: tuple[str, ...]) -> dict[str, Any]:
        """The numbers of a group of seeds in words, a cell for each of HEADS."""
        group = self.board.groups[key]
        marks = [f"{len(group.ok)}/{group.expected}"] if len(group.ok) < group.expected else []
        marks += [self.kinds[key[1:]]] * bool(self.kinds[key[1:]])
        marks += ["n=1"] * (group.expected == 1) + ["stale"] * group.stale
        marks += ["collapsed"] * any("collapsed" in flags for flags in group.words("flags"))
        return {"values": [_cell(group, name) for name in HEADS], "seeds": len(group.ok), "marks": marks, "states": group.states}


def _numbers(group: Group, name: str) -> list[float | None]:
    mean, interval = group.mean(name), group.interval(name)
    if mean is None:
        return []
    found = [mean, group.std(name), *(interval or (None, None))]
    return [None if value is None else float(f"{value:.5g}") for value in found]


def _cell(group: Group, name: str) -> dict[str, Any]:
    """Text, interval and sorting value of one number."""
    mean, std, interval = group.mean(name), group.std(name), group.interval(name)
    if mean is None:
        return {"text": "", "interval": "", "order": -1}
    if name in COSTS:
        return {"text": f"{mean:,.3g}" if mean < 1000 else f"{mean:,.0f}", "interval": "", "order": mean}
    text = _percent(mean) + (f" ± {_percent(std)}" if std is not None and name in DETAILS else "")
    shown = f"{_percent(interval[0])} to {_percent(interval[1])}" if interval and name in DETAILS else ""
    return {"text": text, "interval": shown, "order": mean}


def _root(name: str) -> str:
    """The dataset that this one is drawn from in the end; itself where a record names one that is not here."""
    try:
        return datasets.root(name)
    except (UserError, RecursionError):
        return name


def _percent(value: float) -> str:
    text = f"{100 * value:.1f}"
    return "0.0" if text == "-0.0" else text


def _dataset(name: str) -> Any:
    """A dataset's card; None for one that is not here."""
    try:
        return datasets.card(name)
    except UserError:
        return None
