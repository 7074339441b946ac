"""Figures of one cell: a 2-D map of what it found, and a few images of each cluster. Small, and beside its record.

They are drawn while scoring, from seed 0, and touch no score. A figures file is gzipped JSON of at most 20 KB:

    {"schema": 1, "fit_fingerprint": "…",
     "map": {"of": "embedding" or "inputs", "explained": [0.3, 0.2], "x": […], "y": […], "class": […] or null, "cluster": […]},
     "examples": [{"cluster": 0, "rows": […], "classes": […] or null}, …],
     "sheet": {"side": 28, "columns": 5, "webp": "base64"} or null}

x and y are 0..255. `rows` are places in the prepared data. The sheet has one row of images for each of `examples`.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

SCHEMA = 1
FIGURES = "figures.json.gz"
POINTS = 2000
MOST_BYTES = 20_000
SHEET_BYTES = 5_000
MOST_CLUSTERS, MOST_IMAGES, MOST_EACH, MOST_SIDE = 50, 50, 6, 32
# Pictures are shown where the licence lets anybody pass them on; "CC BY 4.0; but not …" is not such a licence.
_FREE = re.compile(r"(MIT|CC0|CC BY(-SA)? \d\.\d|BSD-[23]-Clause|Apache-2\.0)")


def may_show(licence: str) -> bool:
    """Whether a licence, as a dataset's card words it, allows pictures of the data on a page."""
    return _FREE.fullmatch(licence.strip()) is not None


def draw(
    *,
    fit: str,
    inputs: np.ndarray,
    embedding: np.ndarray | None,
    assign: np.ndarray,
    truth: np.ndarray | None,
    rows: np.ndarray,
    images: bool,
) -> bytes:
    """The figures file of a cell.

    fit: its fingerprint. inputs: image [n, c, h, w] uint8 or vector [n, d]. embedding: [n, e] or None: then the map is of the
    inputs. assign: [n] int64. truth: [n] int64 or None. rows: [m], the rows that are scored. images: whether to show any.
    """
    some = rows[np.unique(np.linspace(0, len(rows) - 1, min(POINTS, len(rows))).round().astype(int))]
    space = inputs if embedding is None else embedding
    places, explained = principal(space[some].reshape(len(some), -1))
    classes = None if truth is None else truth[some]
    order = np.lexsort((assign[some],) if classes is None else (assign[some], classes))  # neighbours compress well
    examples = _examples(assign, truth, rows)
    facts = {
        "schema": SCHEMA,
        "fit_fingerprint": fit,
        "map": {
            "of": "inputs" if embedding is None else "embedding",
            "explained": explained,
            **dict(zip("xy", quantised(places)[order].T.tolist(), strict=True)),
            "class": None if classes is None else classes[order].tolist(),
            "cluster": assign[some][order].tolist(),
        },
        "examples": examples,
        "sheet": _sheet(inputs, examples) if images and inputs.ndim == 4 else None,
    }
    content = encode(facts)
    return content if len(content) <= MOST_BYTES else encode({**facts, "sheet": None})


def principal(points: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """The first two principal components of [n, d] as [n, 2], each turned so that its largest entry is positive, and the
    parts of the variance that they explain. One eigenvalue problem of the smaller of n and d."""
    from scipy.linalg import eigh

    x = points.astype(np.float64)
    x = x - x.mean(axis=0)
    total, small = float(np.square(x).sum()), min(x.shape)
    if small < 2 or total == 0:
        flat = np.zeros((len(x), 2))
        flat[:, 0] = x[:, 0] if x.shape[1] else 0
        return flat, [float(total > 0), 0.0]
    wide = x.shape[1] > len(x)
    values, vectors = eigh(x @ x.T if wide else x.T @ x, subset_by_index=[small - 2, small - 1])
    values = np.maximum(values[::-1], 0)
    found = vectors[:, ::-1] * np.sqrt(values) if wide else x @ vectors[:, ::-1]
    largest = found[np.abs(found).argmax(axis=0), [0, 1]]
    return found * np.where(largest < 0, -1, 1), [float(value / total) for value in values]


def quantised(places: np.ndarray) -> np.ndarray:
    """[n, 2] as [n, 2] int in 0..255, one scale for both axes; the outermost 0.5% on each side lie on the edge."""
    low, high = np.quantile(places, 0.005, axis=0), np.quantile(places, 0.995, axis=0)
    scale = float((high - low).max()) or 1.0
    middle = (low + high) / 2
    return np.clip(np.rint(127.5 + 255 * (places - middle) / scale), 0, 255).astype(int)


def _examples(assign: np.ndarray, truth: np.ndarray | None, rows: np.ndarray) -> list[dict[str, Any]]:
    """The first rows of each cluster, in prepared order, which is random: no choice makes a cluster look better."""
    clusters, sizes = np.unique(assign[rows], return_counts=True)
    shown = sorted(clusters[np.lexsort((clusters, -sizes))[:MOST_CLUSTERS]].tolist())
    each = max(1, min(MOST_EACH, MOST_IMAGES // len(shown)))
    found = []
    for cluster in shown:
        first = rows[assign[rows] == cluster][:each]
        found.append({"cluster": cluster, "rows": first.tolist(), "classes": None if truth is None else truth[first].tolist()})
    return found


def _sheet(inputs: np.ndarray, examples: list[dict[str, Any]]) -> dict[str, Any] | None:
    """One picture of all examples, a row a cluster: the best quality, then the largest side, that is small enough."""
    from PIL import Image

    columns = max(len(one["rows"]) for one in examples)
    side = min(MOST_SIDE, max(inputs.shape[2:]))
    for tile in dict.fromkeys((side, min(side, 24), min(side, 16))):
        sheet = Image.new("RGB", (columns * tile, len(examples) * tile))
        for y, one in enumerate(examples):
            for x, row in enumerate(one["rows"]):
                sheet.paste(_picture(inputs[row]).resize((tile, tile), Image.Resampling.BOX), (x * tile, y * tile))
        for quality in (80, 60, 40, 20):
            stream = io.BytesIO()
            sheet.save(stream, "WEBP", quality=quality, method=6)
            if stream.tell() <= SHEET_BYTES:
                return {"side": tile, "columns": columns, "webp": base64.b64encode(stream.getvalue()).decode("ascii")}
    return None


def _picture(image: np.ndarray) -> Image:
    """[c, h, w] uint8 as a picture."""
    from PIL import Image

    return Image.fromarray(np.moveaxis(image, 0, 2)) if len(image) == 3 else Image.fromarray(image[0])


def encode(facts: dict[str, Any]) -> bytes:
    """Figures as the bytes of their file; the same figures give the same bytes."""
    rounded = {**facts, "map": {**facts["map"], "explained": [round(part, 4) for part in facts["map"]["explained"]]}}
    return gzip.compress(json.dumps(rounded, sort_keys=True, separators=(",", ":")).encode(), mtime=0)


def decode(content: bytes) -> dict[str, Any]:
    """The figures in a file's bytes; ValueError for anything that is none, since a page is made of them."""
    try:
        unpacker = zlib.decompressobj(wbits=31)
        text = unpacker.decompress(content, 1 << 20)  # a bomb stays small
        facts = json.loads(text.decode())
        _check(facts)
    except (zlib.error, UnicodeDecodeError, RecursionError, KeyError, TypeError) as error:
        raise ValueError(f"no figures: {error!r}") from None
    return facts


def _check(facts: dict[str, Any]) -> None:
    """ValueError, KeyError or TypeError where facts are no figures."""
    points, sheet = facts["map"], facts["sheet"]
    columns = [points[name] for name in ("x", "y", "class", "cluster") if points[name] is not None]
    numbers = [*columns, points["explained"], *(one[name] or [] for one in facts["examples"] for name in ("rows", "classes"))]
    fine = (
        facts["schema"] == SCHEMA
        and points["of"] in ("embedding", "inputs")
        and isinstance(facts["fit_fingerprint"], str)
        and len({len(column) for column in columns}) == 1
        and len(columns[0]) <= POINTS
        and len(facts["examples"]) <= MOST_CLUSTERS
        and all(type(value) in (int, float) for column in numbers for value in column)
        and all(type(one["cluster"]) is int and len(one["rows"]) <= MOST_EACH for one in facts["examples"])
        and (sheet is None or (type(sheet["side"]) is type(sheet["columns"]) is int and _is_webp(sheet["webp"])))
    )
    if not fine:
        raise ValueError("no figures: a part is not of its kind")


def _is_webp(text: Any) -> bool:
    return isinstance(text, str) and base64.b64decode(text, validate=True)[8:12] == b"WEBP"
