"""The scripts that time things work: each runs in its smallest size, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from benchmark.store import ROOT

SCRIPTS = sorted(path.name for path in (ROOT / "tests" / "speed").glob("*.py") if path.name != "side_by_side.py")
TIMED = [name for name in SCRIPTS if name != "boards.py"]
BESIDE_OTHERS = [name for name in SCRIPTS if "return verdict(" in (ROOT / "tests" / "speed" / name).read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", TIMED)
def test_a_script_works_in_its_smallest_size(name: str) -> None:
    """It ends well, and says a rate or a cost of ours above 0 for everything that it measures."""
    words = [sys.executable, str(ROOT / "tests" / "speed" / name), "--smoke"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, capture_output=True, text=True, timeout=180, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said
    assert all(each["ours"] > 0 for each in said.values())


@pytest.mark.parametrize("name", BESIDE_OTHERS)
def test_the_page_has_a_place_for_every_script(name: str) -> None:
    """Between marks that the script rewrites."""
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert text.index(f"<!-- begin: {name} -->") < text.index(f"<!-- end: {name} -->")
