"""The harness: it plans cells, has them fitted blind, scores them and writes what it saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["run"]


def run(**choices: Any) -> pd.DataFrame:
    """Runs cells from a notebook; returns one row a record. The arguments are those of `benchmark.api.run`.

    >>> import benchmark
    >>> frame = benchmark.run(methods=["pixels_kmeans"], datasets=["digits"], seeds=3)  # doctest: +SKIP
    """
    from benchmark import api

    return api.run(**choices)
