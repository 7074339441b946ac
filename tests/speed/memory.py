"""Peak memory of scores of many samples, Python and the arrays included.

    PYTHONPATH=. python tests/speed/memory.py            # minutes, one core, up to 4 GiB
    PYTHONPATH=. python tests/speed/memory.py --write    # and writes the table of docs/performance.md
    PYTHONPATH=. python tests/speed/memory.py --smoke    # seconds; what CI runs

Fails where a peak is above what is wanted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

from benchmark.store import ROOT
from tests.speed.side_by_side import PAGE, rewrite, smoke_or_write

LARGE = {
    "kNN, 1,000,000 × 512": ("knn", {"n": 1_000_000, "d": 512, "k": 10}, 4.0),
    "ACC, NMI, ARI and AMI of 10,000,000 samples": ("acc nmi ari ami", {"n": 10_000_000, "d": 1, "k": 10}, 1.0),
}
MEASURED = """
import re, sys
import metrics
from metrics.evidence import Evidence
from tests.speed.growth import evidence_for
names, size = sys.argv[1], dict(zip("ndk", map(int, sys.argv[2:])))
evidence = Evidence(**evidence_for(names, size))
for name in names.split():
    metrics.get(name).measure(evidence)
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


def peak(names: str, size: Mapping[str, int]) -> float:
    """GiB of a process that draws evidence and measures, by Linux's own account: what a parent took doesn't count."""
    command = [sys.executable, "-c", MEASURED, names, *(str(size[axis]) for axis in "ndk")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout) / 2**20


def main() -> int:
    """Measures; writes where asked; 1 where a peak is above what is wanted."""
    given = smoke_or_write(__doc__).parse_args()
    text, said, high = "| what | peak, GiB | wanted, at most | reached |\n| --- | ---: | ---: | --- |\n", {}, False
    for what, (names, size, most) in LARGE.items():
        found = peak(names, {**size, "n": 1000} if given.smoke else size)
        text += f"| {what} | {found:.2f} | {most:g} | {'yes' if found <= most else '**no**'} |\n"
        said[what] = {"ours": found}
        high |= found > most
    print(text)
    if given.write:
        rewrite("memory.py", text, PAGE)
    print(json.dumps(said))
    return int(high)


if __name__ == "__main__":
    sys.exit(main())
