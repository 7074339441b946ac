"""Timing side by side in one process: others installed for the run, turns, ratios with targets, and the page that says it.

Ratios come from one run on one machine, so the page needs no seconds of anybody's machine.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark.report.markdown import between
from benchmark.store import ROOT

CORES = 2
PAGE = ROOT / "docs" / "performance.md"
HERE_ALREADY = ("torch", "torchvision", "numpy", "pillow", "scipy", "scikit-learn")  # others run on these as they are

Work = Callable[[], int]  # does some work and returns how many of the things it counts that was


@dataclass(frozen=True)
class Target:
    """`ours` must be at least `least` times as fast as the fastest of those whose name begins with `other`."""

    what: str
    other: str
    least: float
    ours: str = "ours"


def smoke_or_write(doc: str | None) -> argparse.ArgumentParser:
    """What every script of this folder may be asked."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="tiny sizes and nothing installed, in seconds; what CI runs")
    parser.add_argument("--write", action="store_true", help="writes what it measured into the page that its first lines name")
    return parser


def arguments(doc: str | None) -> argparse.Namespace:
    """What a script that times others is asked; sets cores and threads accordingly."""
    parser = smoke_or_write(doc)
    parser.add_argument("--busy", action="store_true", help="beside other work: one thread, CPU seconds, nothing with workers")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    torch.set_num_threads(1 if given.smoke or given.busy else CORES)
    torch.manual_seed(0)
    return given


def installed(folder: Path, modules: Mapping[str, str]) -> dict[str, Any]:
    """The others that can be had, by name, installed into a folder; says which can't. modules: name -> what is imported."""
    overrides = folder / "overrides.txt"
    overrides.write_text("".join(f'{name}; python_version < "0"\n' for name in HERE_ALREADY), encoding="utf-8")
    where = ["--python", sys.executable, "--target", str(folder), "--overrides", str(overrides)]
    sys.path.append(str(folder))
    found = {}
    for name, module in modules.items():
        try:
            if name not in HERE_ALREADY:
                subprocess.run(["uv", "pip", "install", "--quiet", *where, name], check=True, capture_output=True, text=True)
                importlib.invalidate_caches()
            found[name] = importlib.import_module(module)
        except (OSError, subprocess.CalledProcessError, ImportError) as error:
            reason = getattr(error, "stderr", None) or str(error)
            print(f"{name} is left out: {reason.strip().splitlines()[-1]}")
    return found


def rates(makers: Mapping[str, Work], rounds: int, seconds: float, busy: bool = False, *, warm: bool = True) -> dict[str, float]:
    """What each makes a second: the median over rounds, in which all take their turn for `seconds`; warm: after one more.

    busy: in seconds of this process's CPU, without makers that have workers.
    """
    clock = time.process_time if busy else time.perf_counter
    makers = {name: make for name, make in makers.items() if not (busy and name.endswith("workers"))}
    seen: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(rounds + warm):
        for name, make in makers.items():
            count, spent, began = 0, 0.0, clock()
            while count == 0 or spent < seconds:
                count += make()
                spent = clock() - began
            seen[name].append(count / spent)
    return {name: statistics.median(each[warm:]) for name, each in seen.items()}


def verdict(
    script: str, said: Mapping[str, Mapping[str, float]], targets: tuple[Target, ...], given: argparse.Namespace, also: str = ""
) -> int:
    """Prints each ratio beside what is wanted, and all rates; writes the page where asked. 1 where a ratio falls short.

    also: what the page says below the table.
    """
    short, rows = False, list[str]()
    for target in targets:
        all_rates = said.get(target.what, {})
        ours = all_rates.get(target.ours)
        theirs = {name: rate for name, rate in all_rates.items() if name.startswith(target.other) and name != target.ours}
        if not theirs or ours is None:
            continue
        best = max(theirs, key=theirs.__getitem__)
        ratio = ours / theirs[best]
        reached = ratio >= target.least
        short |= not reached
        print(f"{target.what}: {ratio:.2f} times {best}, at least {target.least:g} wanted")
        rows.append(
            f"| {target.what} | {best} | {ratio:.3g} | {target.least:.2g} | {'yes' if ratio >= target.least else '**no**'} |\n"
        )
    print(json.dumps({what: {name: float(f"{rate:.4g}") for name, rate in each.items()} for what, each in said.items()}))
    if given.write:
        how = "one thread, CPU seconds, beside other work" if given.busy else f"{torch.get_num_threads()} threads"
        heads = "| what | beside | times as fast | wanted | reached |\n| --- | --- | ---: | ---: | --- |\n"
        below = f"\n{also}\n" if also else ""
        rewrite(script, f"{machine()}; {how}; the median of {given.rounds} rounds.\n\n{heads}{''.join(rows)}{below}")
    return int(short)


def machine() -> str:
    """The processor and the versions that matter, in words."""
    import numpy
    import sklearn

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    versions = f"torch {torch.__version__.partition('+')[0]}, NumPy {numpy.__version__}, scikit-learn {sklearn.__version__}"
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}, {versions}"


def rewrite(what: str, text: str, page: Path = PAGE) -> None:
    """Puts a table between its marks on a page."""
    page.write_text(between(page, f"<!-- begin: {what} -->", f"<!-- end: {what} -->", text), encoding="utf-8")
