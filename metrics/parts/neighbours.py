"""The nearest training rows of each test row by cosine similarity: exact, and the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SPARE = 24  # candidates beyond k, among which ties at the cut are settled
_FLOAT32 = 4e-6  # similarities in float32 closer than this may stand in the wrong order
_EQUAL = 1e-10  # similarities in float64 closer than this are a tie
_CELLS = 1 << 24  # numbers held at once


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

    n, width = train.shape
    k = min(k, n)
    train_norms, test_norms = _norms(train), _norms(test)
    index = faiss.IndexFlatIP(width)
    index.add((train / train_norms[:, None]).astype(np.float32))
    out = Neighbours(np.empty((len(test), k), np.int64), np.empty((len(test), k)))
    wide = min(k + _SPARE, n)
    step = max(1, _CELLS // (wide * width))
    for start in range(0, len(test), step):
        block = slice(start, start + step)
        queries = test[block] / test_norms[block, None]
        rough, candidates = index.search(queries.astype(np.float32), wide)
        exact = np.matmul(train[candidates].astype(np.float64), queries[:, :, None])[:, :, 0] / train_norms[candidates]
        out.indices[block], out.similarities[block] = _ordered(exact, candidates, k)
        open_cut = rough[:, -1] > rough[:, k - 1] - _FLOAT32 if wide < n else np.zeros(len(queries), bool)
        for row in np.flatnonzero(open_cut):
            everywhere = (train @ queries[row].astype(np.float64)) / train_norms
            found = _closest(everywhere, k)
            place = start + row
            out.indices[place], out.similarities[place] = (x[0] for x in _ordered(everywhere[None, found], found[None], k))
    return out


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
