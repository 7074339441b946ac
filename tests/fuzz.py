"""Feeds the readers 10,000 hostile inputs each; the tests try 500, always the same.

    python tests/fuzz.py [PYTEST ARGUMENTS]

What it runs are the files tests/test_fuzz_*.py. A failure prints the smallest input it found and a line that repeats it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def main(arguments: list[str]) -> int:
    """Runs the fuzz tests at their full size; the exit code is pytest's."""
    files = [str(path) for path in sorted(HERE.glob("test_fuzz_*.py"))]
    words = ["--hypothesis-profile=fuzz", "-n", "0", "--timeout", "3600", "--durations", "0", "--durations-min", "1"]
    return int(pytest.main([*words, f"--rootdir={HERE.parent}", *(arguments or files)]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
