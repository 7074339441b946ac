"""The nearest training rows of each test row by cosine similarity: exact, and the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

_SPARE = 24  # candidates beyond k, among which ties at the cut are settled
_FLOAT32 = 4e-6  # similarities in float32 closer than this may stand in the wrong order
_EQUAL = 1e-10  # similarities in float64 closer than this are a tie
_BLOCK = 8192  # rows made float64 at a time
_CHUNK = 256  # test rows that a thread settles at a time
_CELLS = 1 << 23  # similarities held at once
_VALUES = 1 << 25  # of normalised rows held at once


@dataclass(frozen=True)
class Neighbours:
    """The nearest training rows of every test row, nearest first; ties in order of the training index.

    indices: [n_test, k] int64. similarities: [n_test, k] float64, cosines.
    """

    indices: np.ndarray
    similarities: np.ndarray


def search(train: np.ndarray, test: np.ndarray, k: int) -> Neighbours:
    """The k nearest rows of train [n, d] float32 for each row of test [m, d] float32; k is cut to n.

    faiss proposes candidates in float32, float64 settles their order. A row of zeros has similarity 0 to all. Of either
    array only blocks are copied.
    """
    k, wide = min(k, len(train)), min(k + _SPARE, len(train))
    norms = _norms(train)
    out = Neighbours(np.empty((len(test), k), np.int64), np.empty((len(test), k)))
    for block in _blocks(len(test), _VALUES // train.shape[1]):
        queries = test[block] / _norms(test[block])[:, None]
        rough, candidates = _propose(train, norms, queries.astype(np.float32), wide)
        _settle(train, norms, queries, rough, candidates, Neighbours(out.indices[block], out.similarities[block]))
        if wide < len(train):
            # the tie at the cut may reach beyond the candidates: only all the rows can tell
            unsure = np.flatnonzero(rough[:, -1] > rough[:, k - 1] - _FLOAT32)
            _search_all(train, norms, queries, unsure, block.start, out)
    return out


def _propose(train: np.ndarray, norms: np.ndarray, queries: np.ndarray, wide: int) -> tuple[np.ndarray, np.ndarray]:
    """Float32 similarities and indices [b, wide] of the training rows nearest to the queries [b, d] float32, nearest first."""
    import faiss

    best: list[tuple[np.ndarray, np.ndarray]] = []
    for block in _blocks(len(train), _VALUES // train.shape[1]):
        rows = np.empty((block.stop - block.start, train.shape[1]), np.float32)
        np.divide(train[block], norms[block, None], out=rows, dtype=np.float64, casting="same_kind")
        similarities, indices = faiss.knn(queries, rows, min(wide, len(rows)), metric=faiss.METRIC_INNER_PRODUCT)
        best.append((similarities, indices + block.start))
        if len(best) == 2:
            similarities, indices = (np.concatenate(pair, axis=1) for pair in zip(*best, strict=True))
            nearest = np.argsort(-similarities, axis=1, kind="stable")[:, :wide]
            best = [(np.take_along_axis(similarities, nearest, 1), np.take_along_axis(indices, nearest, 1))]
    return best[0]


def _settle(
    train: np.ndarray, norms: np.ndarray, queries: np.ndarray, rough: np.ndarray, candidates: np.ndarray, out: Neighbours
) -> None:
    """Orders the candidates [b, wide] of the queries [b, d] float64 in float64, into out [b, k].

    rough: their similarities in float32, falling; those that can't be among the first k are left out.
    """
    import faiss

    k = out.indices.shape[1]
    counts = (rough >= rough[:, k - 1 : k] - _FLOAT32).sum(axis=1)

    def settle(chunk: slice) -> None:
        # what is left out stands below all cosines, without ties
        exact = np.tile(-2.0 - np.arange(candidates.shape[1]), (chunk.stop - chunk.start, 1))
        near, doubled = (np.empty((candidates.shape[1], train.shape[1]), kind) for kind in (np.float32, np.float64))
        for row, count in enumerate(counts[chunk], chunk.start):
            found, rows, values = candidates[row, :count], near[:count], doubled[:count]
            np.take(train, found, axis=0, out=rows, mode="clip")  # without a mode it would buffer
            values[:] = rows
            exact[row - chunk.start, :count] = np.vecdot(values, queries[row]) / norms[found]
        out.indices[chunk], out.similarities[chunk] = _ordered(exact, candidates[chunk], k)

    with ThreadPoolExecutor(faiss.omp_get_max_threads()) as threads:
        list(threads.map(settle, _blocks(len(candidates), _CHUNK)))


def _search_all(
    train: np.ndarray, norms: np.ndarray, queries: np.ndarray, chosen: np.ndarray, start: int, out: Neighbours
) -> None:
    """Settles the chosen rows of queries [b, d] float64 in float64 against every training row, into out from row start."""
    k = out.indices.shape[1]
    for block in _blocks(len(chosen), _CELLS // len(train)):
        some = chosen[block]
        similarities = np.empty((len(some), len(train)))
        for piece in _blocks(len(train), _BLOCK):
            similarities[:, piece] = queries[some] @ train[piece].T.astype(np.float64) / norms[piece]
        for row, values in zip(some, similarities, strict=True):
            found = _closest(values, k)
            indices, order = _ordered(values[None, found], found[None], k)
            out.indices[start + row], out.similarities[start + row] = indices[0], order[0]


def _blocks(n: int, size: int) -> Iterator[slice]:
    """Slices of 0..n−1 of so many rows each, at least one."""
    size = max(1, size)
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def _norms(rows: np.ndarray) -> np.ndarray:
    """[n] float64: Euclidean norms; 1 in place of 0."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    norms[norms == 0] = 1
    return norms


def _ordered(similarities: np.ndarray, indices: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The first k of each row, by falling similarity, then by rising index where similarities are equal."""
    order = np.argsort(-similarities, axis=1, kind="stable")
    similarities, indices = np.take_along_axis(similarities, order, 1), np.take_along_axis(indices, order, 1)
    falls = np.diff(similarities, axis=1) < -_EQUAL
    tied = np.flatnonzero(~falls.all(axis=1))
    ranks = np.zeros((len(tied), indices.shape[1]), np.int64)
    np.cumsum(falls[tied], axis=1, out=ranks[:, 1:])
    order = np.lexsort((indices[tied], ranks), axis=1)
    for values in (similarities, indices):
        values[tied] = np.take_along_axis(values[tied], order, 1)
    return indices[:, :k], similarities[:, :k]


def _closest(similarities: np.ndarray, k: int) -> np.ndarray:
    """Indices of the k largest of [n] similarities and, of those equal to the last of them, the first k by index."""
    last = np.partition(similarities, len(similarities) - k)[len(similarities) - k]
    above = np.flatnonzero(similarities > last + _EQUAL)
    return np.concatenate([above, np.flatnonzero(np.abs(similarities - last) <= _EQUAL)[:k]])
