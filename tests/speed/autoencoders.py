"""Times DEC, IDEC and DCN against ClustPy's on the same data, in one run; both clusterings are scored.

    PYTHONPATH=. python tests/speed/autoencoders.py            # half an hour, on two cores; USPS where $BLINDBENCH_DATA has it
    PYTHONPATH=. python tests/speed/autoencoders.py --write    # and writes the table into docs/performance.md
    PYTHONPATH=. python tests/speed/autoencoders.py --smoke    # seconds; what CI runs

ClustPy 0.0.3 is installed for the run into a temporary folder, and runs with 50 epochs of pretraining and 50 of clustering. Ours
runs at the budget `quick`, the autoencoder it starts from included. The seeds differ from round to round. Fails where ours takes
more than a third of the time, or has the lower mean ACC.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

import methods
import metrics
from benchmark.worker import Clusterer, seed_everything
from datasets.base import Inputs
from datasets.prepare import read
from datasets.source import Source
from methods.base import Method
from methods.parts.batches import flat
from methods.run import Run
from tests.speed.side_by_side import Target, arguments, installed, rates, verdict

RUNS = (("dec", "digits"), ("idec", "digits"), ("dcn", "digits"), ("dec", "usps"), ("idec", "usps"))
TARGETS = tuple(Target(f"{method} on {dataset}", "ClustPy", 3.0) for method, dataset in RUNS)
EPOCHS = 50  # ClustPy's, of each kind


def data(name: str) -> tuple[torch.Tensor, np.ndarray] | None:
    """Inputs [n, c, h, w] uint8 and labels [n] of a dataset; None where its files aren't at hand."""
    folder = os.environ.get("BLINDBENCH_DATA")
    with tempfile.TemporaryDirectory() as cache, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            raw = read(name, Source(Path(folder) if folder else None, Path(cache), name=name))
        except Exception as error:  # whatever is wrong with the files, the other datasets can be timed
            print(f"{name} is left out: {error}")
            return None
    return torch.as_tensor(raw.inputs), np.asarray(raw.labels)


def fitted(name: str, inputs: Inputs, k: int, seed: int, budget: str) -> Method:
    """A method fitted on top of its parts, as the harness does it."""
    parts = {role: fitted(part, inputs, k, seed, budget) for role, part in methods.card(name).parts.items()}
    seed_everything(seed)
    method = methods.get(name)(**methods.configure(name, kind="grey", budget=budget))
    method.fit(inputs, k, Run(seed=seed, parts=parts))
    return method


class Runs:
    """Fits with one seed after another; remembers the ACC of each."""

    def __init__(self, labels: np.ndarray, cluster: Callable[[int], np.ndarray]) -> None:
        self.labels, self.cluster, self.accs = labels, cluster, list[float]()

    def __call__(self) -> int:
        """One fit."""
        found = self.cluster(len(self.accs))
        self.accs.append(metrics.get("acc").score(labels_true=self.labels, labels_pred=found))
        return 1


def ours(name: str, x: torch.Tensor, k: int, budget: str, seed: int) -> np.ndarray:
    """Assignments [n] of one fit."""
    inputs = Inputs("image", x)
    return Clusterer(k, seed, told=k).of(fitted(name, inputs, k, seed, budget), x, starts=Clusterer.STARTS)


def clustpy(deep: Any, name: str, x: torch.Tensor, k: int, seed: int) -> np.ndarray:
    """The same by ClustPy."""
    model = getattr(deep, name.upper())(k, pretrain_epochs=EPOCHS, clustering_epochs=EPOCHS, random_state=seed)
    return np.asarray(model.fit(flat(x).numpy()).labels_)


def main() -> int:
    """Times all; 1 where a ratio or a mean ACC falls short."""
    given = arguments(__doc__)
    warnings.simplefilter("ignore")  # the others'
    runs, budget, rounds = (RUNS[:1], "smoke", 1) if given.smoke else (RUNS, "quick", given.rounds)
    said: dict[str, dict[str, float]] = {}
    short, accs = False, list[str]()
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(torch.get_num_threads()):
        peers = {} if given.smoke else installed(Path(folder), {"clustpy==0.0.3": "clustpy.deep"})
        for method, dataset in runs:
            found = data(dataset)
            if found is None:
                continue
            x, labels = found
            k = len(np.unique(labels))
            makers = {"ours": Runs(labels, partial(ours, method, x, k, budget))}
            if peers:
                makers["ClustPy"] = Runs(labels, partial(clustpy, peers["clustpy==0.0.3"], method, x, k))
            what = f"{method} on {dataset}"
            said[what] = rates(makers, rounds, 0.0, given.busy)
            means = {name: statistics.fmean(each.accs) for name, each in makers.items()}
            accs.append(f"{what} {', '.join(f'{name} {mean:.3f}' for name, mean in means.items())}")
            print(f"mean ACC: {accs[-1]}")
            short |= means["ours"] < means.get("ClustPy", 0.0)
    also = f"Mean ACC: {'; '.join(accs)}."
    return verdict("autoencoders.py", said, TARGETS, given, also) or int(short)


if __name__ == "__main__":
    sys.exit(main())
