"""Texts as vectors: TF-IDF on the most frequent terms, and the files that hold a collection's texts."""

from __future__ import annotations

import io
import json
import lzma
import math
import re
import tarfile
import zipfile
from collections import Counter
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from datasets.base import Raw
from datasets.parts.bounded import Bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from datasets.base import Card
    from datasets.source import Source

TERMS = 2000
GRID = 1024
_LIMIT = 1 << 20  # bytes of one document; the longest of 20newsgroups has 160,616
# Runs of ASCII letters alone: they are the same in ASCII, Latin-1 and UTF-8, so a text's encoding changes no term.
_TERM = re.compile(r"[A-Za-z]{2,}")
# The closed classes of English: articles, pronouns, prepositions, conjunctions, auxiliaries, and what contractions leave.
_WORDS = """
about above across after again against ain all along also although am among an and another any anybody anyone anything are
aren around as at be because been before being below beside between both but by can cannot could couldn did didn do does
doesn doing don done down during each either else etc even ever every everybody everyone everything few for from further
had hadn has hasn have haven having he hence her here hers herself him himself his how however if in inside into is isn it
its itself just least less ll many may me might mine more most much must mustn my myself near neither never no nobody none
nor not nothing now of off on once one only onto or other others ought our ours ourselves out outside over own per perhaps
quite rather re same shall shan she should shouldn since so some somebody someone something still such than that the their
theirs them themselves then there therefore these they this those though through throughout thus till to together too
toward towards under unless until up upon us ve very via was wasn we were weren what whatever when whenever where wherever
whereas whether which while who whoever whole whom whose why will with within without won would wouldn yet you your yours
yourself yourselves
"""
FUNCTION_WORDS = frozenset(_WORDS.split())


@dataclass(frozen=True, order=True)
class Text:
    """One document. part: 0 train, 1 test (0 throughout without a split). Sorted, they are in canonical order."""

    part: int
    label: int
    number: int
    body: str


def terms(text: str) -> Counter[str]:
    """How often each term occurs in a text: runs of two or more ASCII letters, in lower case, less the function words."""
    found: Counter[str] = Counter()
    for run, count in Counter(_TERM.findall(text)).items():
        found[run.lower()] += count
    return Counter({term: count for term, count in found.items() if term not in FUNCTION_WORDS})


def tfidf(texts: Iterable[str], size: int = TERMS) -> np.ndarray:
    """TF-IDF vectors [n, size] float32 on the `size` terms that occur most often, ties by the alphabet; columns by the alphabet.

    A weight is (1 + ln tf)·(1 + ln((1 + n)/(1 + df))); see `scaled` for the length of a row.
    """
    counts = [terms(text) for text in texts]
    totals: Counter[str] = Counter()
    for count in counts:
        totals.update(count)
    if len(totals) < size:
        raise ValueError(f"its texts have too few terms: {len(totals)}, but {size} are needed")
    chosen = sorted(sorted(totals, key=lambda term: (-totals[term], term))[:size])
    column = {term: j for j, term in enumerate(chosen)}
    rows = [sorted((column[term], tf) for term, tf in count.items() if term in column) for count in counts]
    df = Counter(j for row in rows for j, _ in row)
    idf = [1 + math.log((1 + len(rows)) / (1 + df[j])) for j in range(size)]
    return scaled([[(j, (1 + math.log(tf)) * idf[j]) for j, tf in row] for row in rows], size)


def scaled(rows: Sequence[Sequence[tuple[int, float]]], size: int) -> np.ndarray:
    """Sparse rows of (column, weight) as [n, size] float32, each of squared length `size`, so that its mean square is 1.

    Values are rounded to 1/1024, so that a last bit that differs between machines changes nothing. A row of none is zero.
    """
    out = np.zeros((len(rows), size), np.float32)
    for i, row in enumerate(rows):
        factor = GRID * math.sqrt(size) / math.sqrt(math.fsum(weight * weight for _, weight in row) or 1.0)
        for j, weight in row:
            out[i, j] = round(weight * factor) / GRID
    return out


def as_raw(texts: Iterable[Text], split: bool) -> Raw:
    """The canonical arrays of a collection: texts by part, class and number."""
    ordered = sorted(texts)
    labels = np.array([text.label for text in ordered], np.int64)
    parts = np.array([text.part for text in ordered], np.int8)
    return Raw(tfidf(text.body for text in ordered), labels, parts if split else None)


def load(source: Source, card: Card, url: str, member: str, *, lines: str = "", split: bool = False) -> Raw:
    """A set of texts: from the JSON lines at `lines` where they are, else from the one archive on the card.

    url: the archive's official address. member: pattern of its members' names, as `read_archive` takes it.
    """
    if lines and source.has(lines):
        found = source.find(lines)
        with source.reading(found):
            return as_raw(read_lines(found, card.class_names), split=split)
    ((archive, checksum),) = card.files.items()
    found = source.find(archive, checksum=checksum, urls=[url])
    with source.reading(found):
        return as_raw(read_archive(found, member, card.class_names), split=split)


def read_lines(path: Path, class_names: Sequence[str]) -> list[Text]:
    """The documents in an xz-packed file of JSON lines with the keys target, target_name, id, text and, with a split, split."""
    documents = []
    with lzma.open(path) as packed, io.TextIOWrapper(io.BufferedReader(Bounded(packed)), encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            fields = json.loads(line)
            if not isinstance(fields, dict) or not all(isinstance(fields.get(key), str) for key in ("target_name", "id", "text")):
                raise ValueError(f"its line {number} lacks one of the strings target_name, id and text")
            found = _document(fields.get("split", "train"), fields["target_name"], fields["id"], fields["text"], class_names)
            if fields.get("target") != found.label:
                raise ValueError(f"its line {number} has the target {fields.get('target')!r} for {fields['target_name']!r}")
            documents.append(found)
    return documents


def read_archive(path: Path, pattern: str, class_names: Sequence[str]) -> list[Text]:
    """The documents in a zip or tar archive whose names match `pattern`, with its groups `part` (or none), `name` and `id`.

    Nothing is unpacked to disk. Other members, links among them, are left out; one above 1 MiB is refused.
    """
    matches = re.compile(pattern).fullmatch
    documents = []
    for member, body in _members(path, lambda name: matches(name) is not None):
        found = matches(member).groupdict()  # type: ignore[union-attr]
        documents.append(_document(found.get("part", "train"), found["name"], found["id"], body.decode("latin-1"), class_names))
    return documents


def _members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for name in filter(wanted, archive.namelist()):
                with archive.open(name) as stream:
                    yield name, _read(stream, name)
        return
    with tarfile.open(path, "r:gz") as tar:
        for member in tar:
            if member.isfile() and wanted(member.name) and (stream := tar.extractfile(member)) is not None:
                yield member.name, _read(stream, member.name)


def _read(stream: IO[bytes], name: str) -> bytes:
    body = stream.read(_LIMIT + 1)
    if len(body) > _LIMIT:
        raise ValueError(f"its member {name} is larger than {_LIMIT:,} bytes")
    return body


def _document(part: Any, name: str, number: str, body: str, class_names: Sequence[str]) -> Text:
    if part not in ("train", "test"):
        raise ValueError(f"its document {name}/{number} is of the part {part!r}, not train or test")
    if name not in class_names:
        raise ValueError(f"its document {name}/{number} is of none of the classes {', '.join(class_names)}")
    if not (number.isascii() and number.isdigit()):
        raise ValueError(f"its document {name}/{number} has no number for a name")
    return Text(int(part == "test"), class_names.index(name), int(number), body)
