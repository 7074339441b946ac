"""The one-to-one matching of clusters and classes on which ACC and its relatives stand."""

from __future__ import annotations

import numpy as np

from metrics.parts.contingency import Contingency


def match(contingency: Contingency) -> tuple[np.ndarray, np.ndarray]:
    """The one-to-one matching with the most samples in matched cells (Kuhn 1955), as (rows, columns), [m] int64 each.

    Rectangular tables are allowed: m ≤ min(c, k). A pair that shares no sample is no match and is left out.
    Among equally good matchings the choice depends on what clusters hold, never on how they are numbered.
    """
    from scipy.optimize import linear_sum_assignment

    by_cluster = np.ascontiguousarray(contingency.table.T)
    order = np.array(sorted(range(len(by_cluster)), key=lambda column: by_cluster[column].tobytes()))
    rows, places = linear_sum_assignment(by_cluster[order].T, maximize=True)
    columns = order[places]
    shared = contingency.table[rows, columns] > 0
    return rows[shared], columns[shared]


def matched(contingency: Contingency, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """[c] int64: for each class, how many of its samples lie in the cluster matched to it; 0 where it has none."""
    hits = np.zeros(len(contingency.classes), dtype=np.int64)
    hits[rows] = contingency.table[rows, columns]
    return hits
