"""The nearest training rows of each test row by cosine similarity: exact, and the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SPARE = 24  # candidates beyond k, among which ties at the cut are settled
_FLOAT32 = 4e-6  # similarities in float32 closer than this may stand in the wrong order
_EQUAL = 1e-10  # similarities in float64 closer than this are a tie
_BLOCK = 8192  # rows at a time: many enough for faiss's own blocks
_CELLS = 1 << 23  # similarities held at once


@dataclass(frozen=True)
class Neighbours:
    """The nearest training rows of every test row, nearest first; ties in order of the training index.

    indices: [n_test, k] int64. similarities: [n_test, k] float64, cosines.
    """

    indices: np.ndarray
    similarities: np.ndarray


def search(train: np.ndarray, test: np.ndarray, k: int) -> Neighbours:
    """The k nearest rows of train [n, d] float32 for each row of test [m, d] float32; k is cut to n.

    faiss proposes candidates in float32, float64 settles their order. A row of zeros has similarity 0 to all.
    """
    import faiss

    k, wide = min(k, len(train)), min(k + _SPARE, len(train))
    norms = _norms(train)
    index = faiss.IndexFlatIP(train.shape[1])
    index.add((train / norms[:, None]).astype(np.float32))
    out = Neighbours(np.empty((len(test), k), np.int64), np.empty((len(test), k)))
    for start in range(0, len(test), _BLOCK):
        block = slice(start, start + _BLOCK)
        queries = test[block] / _norms(test[block])[:, None]
        rough, candidates = index.search(queries.astype(np.float32), wide)
        exact = np.empty(candidates.shape)
        for row, (query, near) in enumerate(zip(queries, candidates, strict=True)):
            exact[row] = train[near].astype(np.float64) @ query / norms[near]
        out.indices[block], out.similarities[block] = _ordered(exact, candidates, k)
        if wide < len(train):
            # the tie at the cut may reach beyond the candidates: only all the rows can tell
            unsure = np.flatnonzero(rough[:, -1] > rough[:, k - 1] - _FLOAT32)
            _search_all(train, norms, queries, unsure, start, out)
    return out


def _search_all(
    train: np.ndarray, norms: np.ndarray, queries: np.ndarray, chosen: np.ndarray, start: int, out: Neighbours
) -> None:
    """Settles the chosen rows of queries [b, d] float64 in float64 against every training row, into out from row start."""
    k = out.indices.shape[1]
    step = max(1, _CELLS // len(train))
    for low in range(0, len(chosen), step):
        some = chosen[low : low + step]
        similarities = np.empty((len(some), len(train)))
        for first in range(0, len(train), _BLOCK):
            piece = slice(first, first + _BLOCK)
            similarities[:, piece] = queries[some] @ train[piece].T.astype(np.float64) / norms[piece]
        for row, values in zip(some, similarities, strict=True):
            found = _closest(values, k)
            indices, order = _ordered(values[None, found], found[None], k)
            out.indices[start + row], out.similarities[start + row] = indices[0], order[0]


def _norms(rows: np.ndarray) -> np.ndarray:
    """[n] float64: Euclidean norms; 1 in place of 0."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    norms[norms == 0] = 1
    return norms


def _ordered(similarities: np.ndarray, indices: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The first k of each row, by falling similarity, then by rising index where similarities are equal."""
    order = np.argsort(-similarities, axis=1, kind="stable")
    similarities, indices = np.take_along_axis(similarities, order, 1), np.take_along_axis(indices, order, 1)
    ranks = np.zeros(indices.shape, np.int64)
    np.cumsum(np.diff(similarities, axis=1) < -_EQUAL, axis=1, out=ranks[:, 1:])
    order = np.lexsort((indices, ranks), axis=1)[:, :k]
    return np.take_along_axis(indices, order, 1), np.take_along_axis(similarities, order, 1)


def _closest(similarities: np.ndarray, k: int) -> np.ndarray:
    """Indices of the k largest of [n] similarities and, of those equal to the last of them, the first k by index."""
    last = np.partition(similarities, len(similarities) - k)[len(similarities) - k]
    above = np.flatnonzero(similarities > last + _EQUAL)
    return np.concatenate([above, np.flatnonzero(np.abs(similarities - last) <= _EQUAL)[:k]])
