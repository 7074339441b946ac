"""Times the board of many made-up records: reading, tables and leaderboard in a fresh process, with its peak memory,
that of the processes which read for it included.

    python tests/speed/boards.py [--records 100000] [--smoke]

The records are copies of the committed ones under other variants and seeds. `--smoke` makes 1,000 and is what CI runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SECONDS, MIB, SEEDS = 10.0, 1024.0, 10
VARIANT = "made-up-variant"
TIMED = """
import os, resource, sys, time
began = time.perf_counter()
from pathlib import Path
from benchmark.report.markdown import generated
from benchmark.store import Results
imported = time.perf_counter()
texts = generated(Results(Path(sys.argv[1])))
seconds = time.perf_counter() - imported
own, largest = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
peak = (own + os.cpu_count() * largest) / (2**20 if sys.platform == "darwin" else 2**10)  # readers share pages with it: at most
lines = texts[Path(sys.argv[1]) / "runs.csv"].count("\\n") - 1
print(seconds, imported - began, peak, time.process_time(), lines)
"""


def make(folder: Path, count: int) -> None:
    """Writes `count` records: every committed one, as ten seeds of as many variants as it takes."""
    from benchmark.ground.files import canonical_json
    from benchmark.store import Results

    templates = [
        canonical_json({**signed(record, seed), "variant": VARIANT})
        for _, record in Results.committed().records()
        if record["seed"] == 0 and record["variant"] == "base"
        for seed in range(SEEDS)
    ]
    written = 0
    for number in range(count):
        variant = "base" if number == 0 else f"v{number}"
        for template in templates:
            record = json.loads(template)
            place = folder / "records" / record["dataset"] / record["method"]
            place.mkdir(parents=True, exist_ok=True)
            name = f"{record['track']}-{record['budget']}-{variant}-s{record['seed']}.json"
            (place / name).write_text(template.replace(VARIANT, variant), encoding="utf-8")
            written += 1
            if written == count:
                return


def signed(record: dict[str, Any], seed: int) -> dict[str, Any]:
    """The record as that of another seed, with today's fingerprints."""
    import datasets
    from benchmark.plan import from_record
    from benchmark.provenance import score_fingerprints

    cell = from_record({**record, "seed": seed})
    scores = score_fingerprints(cell.fit_fingerprint, datasets.card(cell.dataset).labels_id)
    parts = [part.fit_fingerprint for part in cell.parts.values()]
    return {**record, "seed": seed, "fit_fingerprint": cell.fit_fingerprint, "score_fingerprints": scores, "parts": parts}


def main() -> int:
    """Makes records, times their board, and fails where it is too slow or too large."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    count = 1000 if given.smoke else given.records
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), count)
        command = [sys.executable, "-c", TIMED, folder]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, imports, peak, cpu, rows = map(float, done.stdout.split())
    said = {"records": int(rows), "seconds": seconds, "import_seconds": imports, "cpu_seconds": cpu, "peak_mib": peak}
    print(json.dumps(said))
    return int(rows != count or seconds > SECONDS or peak > MIB)


if __name__ == "__main__":
    sys.exit(main())
