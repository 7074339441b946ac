"""What a record must be to be read: its schema, its shape, and how older schemas become today's.

To change the shape: raise SCHEMA to n + 1, put the function that turns schema n into n + 1 under n in UPGRADES, and keep
records of schema n in tests/golden. A record of any older schema loads for ever.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any

import orjson

from benchmark.ground.errors import UserError

SCHEMA = 1
STATES = ("ok", "failed", "timeout", "out_of_memory", "diverged", "not_applicable", "missing")
UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
_SLUG = re.compile(r"[a-z0-9][a-z0-9_.@-]{0,79}")
_WORD = re.compile(r"[\w .:+-]{0,80}")
_FINGERPRINT = re.compile(r"[\w-]{0,80}")
_BIG = 9 * 10**15  # a float holds integers up to here, and rounding to six digits goes no further
_TABLE = b'\n "contingency": [\n'


class BadRecord(UserError):
    """A file that is no record, cut in half or changed by hand; `run` may put a new one in its place."""


class LaterRecord(UserError):
    """A record that a later program wrote; this one neither reads nor replaces it."""


def decode(content: bytes) -> dict[str, Any]:
    """The record in a file's bytes, as one of today's schema; BadRecord or LaterRecord, which name no file."""
    try:
        record = orjson.loads(content)
    except ValueError as error:
        raise BadRecord(f"is no JSON text ({error})") from None
    if not isinstance(record, dict) or type(record.get("schema")) is not int or record["schema"] < 0:
        raise BadRecord("has no schema number")
    if record["schema"] > SCHEMA:
        commit = record.get("commit")
        where = f", for example to the commit that wrote it, {commit[:12]}" if _is(_FINGERPRINT)(commit) and commit else ""
        raise LaterRecord(
            f"has schema {record['schema']}, which a later version of this program wrote; this one knows schemas up to {SCHEMA}; "
            f"update the checkout{where}"
        )
    return checked(upgraded(record))


def without_table(content: bytes) -> bytes:
    """The bytes of a record without its contingency, half of its text, where it is written as records are.

    A line break stands in no JSON string, so what is cut is the value of that key and nothing else.
    """
    start = content.find(_TABLE)
    stop = content.find(b"\n ]", start)
    return content if start < 0 or stop < 0 else content[: start + len(_TABLE)] + content[stop:]


def upgraded(record: dict[str, Any]) -> dict[str, Any]:
    """A record of any older schema as one of today's; BadRecord where its schema never was or it lacks what it had."""
    for schema in range(record["schema"], SCHEMA):
        if schema not in UPGRADES:
            raise BadRecord(f"has schema {schema}, which never was")
        try:
            record = {**UPGRADES[schema](record), "schema": schema + 1}
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise BadRecord(f"is no whole record of schema {schema} ({error!r})") from None
    return record


def checked(record: dict[str, Any]) -> dict[str, Any]:
    """The record, if what tables and plans read of it is there and of the right kind; else BadRecord."""
    for name, fits in _FITS:
        if name in record:
            if not fits(record[name]):
                raise BadRecord(f"has {_short(record[name])} for {name!r}")
        elif name in _NEEDED:
            raise BadRecord(f"lacks {name!r}")
    return record


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def is_number(value: Any) -> bool:
    """Whether a value is a number, and not absurdly large."""
    return type(value) in (int, float) and -_BIG <= value <= _BIG


def is_whole(value: Any) -> bool:
    """Whether a value is an integer, and not absurdly large."""
    return type(value) is int and -_BIG <= value <= _BIG


def _is(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    fits = lru_cache(maxsize=4096)(lambda text: pattern.fullmatch(text) is not None)
    return lambda value: type(value) is str and fits(value)


def _or_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


def _list_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: type(value) is list and all(map(fits, value))


# Below, whole collections are looked at in a few calls: a board reads a hundred thousand records.


@lru_cache(maxsize=4096)
def _are_words(names: tuple[str, ...]) -> bool:
    return all(map(_WORD.fullmatch, names))


def _are_numbers(value: Any) -> bool:
    """{word: number or None}."""
    if type(value) is not dict or not _are_words(tuple(value)):
        return False
    numbers = [number for number in value.values() if number is not None]
    return {*map(type, numbers)} <= {int, float} and (not numbers or (min(numbers) >= -_BIG and max(numbers) <= _BIG))


def _are_fingerprints(value: Any) -> bool:
    """{word: fingerprint}."""
    if type(value) is not dict or not _are_words(tuple(value)) or not {*map(type, value.values())} <= {str}:
        return False
    texts = "".join(value.values())
    return texts.isalnum() if texts else True


def _is_table(value: Any) -> bool:
    """[[integer, integer, integer], ...]."""
    if type(value) is not list or not {*map(type, value)} <= {list} or not {*map(len, value)} <= {3}:
        return False
    flat = [*chain.from_iterable(value)]
    return {*map(type, flat)} <= {int} and (not flat or (min(flat) >= -_BIG and max(flat) <= _BIG))


def _is_card(value: Any) -> bool:
    """The card of a dataset from outside, as far as plans and boards read it; None where the dataset is one of ours."""
    if type(value) is not dict:
        return value is None
    counts = [value.get(name, 0) for name in ("n", "classes", "n_test")]
    words = [value.get(name, "") for name in ("title", "modality", "sha_inputs", "sha_labels", "rule", "pretrained")]
    shape = value.get("shape")
    return (
        all(map(is_whole, counts))
        and {*map(type, words)} <= {str}
        and type(shape) is list
        and all(map(is_whole, shape))
        and type(value.get("files", {})) is dict
    )


def _is_submission(value: Any) -> bool:
    """What a self-reported fit says of itself: title, authors, url, and a hash of each array."""
    if type(value) is not dict or not {*map(type, (value.get(name, "") for name in ("title", "authors", "url")))} <= {str}:
        return False
    return _are_fingerprints(value.get("arrays"))


def _is_environment(value: Any) -> bool:
    return type(value) is dict and _word(value.get("device"))


_slug, _word, _fingerprint = _is(_SLUG), _is(_WORD), _is(_FINGERPRINT)
_NEEDED: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("method", "variant", "dataset", "track", "budget"), _slug),
    "seed": lambda value: type(value) is int and 0 <= value < 2**31,
    "state": lambda value: type(value) is str and value in STATES,
    **dict.fromkeys(("flags", "told"), _list_of(_word)),
    "k_used": _or_none(is_whole),
    "fit_fingerprint": _fingerprint,
    **dict.fromkeys(("scores", "cost"), _are_numbers),
    "environment": _is_environment,
}
_POSSIBLE: Mapping[str, Callable[[Any], bool]] = {
    "submitted": _is_submission,
    "reason": lambda value: value is None or type(value) is str,
    "attempts": lambda value: type(value) is list,
    "changes": lambda value: type(value) is dict,
    "data": _is_card,
    "restamped": _list_of(lambda value: type(value) is dict),
    "parts": _list_of(_fingerprint),
    "score_fingerprints": _are_fingerprints,
    "oracle_gap": _are_numbers,
    "snapshot_scores": lambda value: type(value) is dict,
    "contingency": _is_table,
}
_FITS = [*_NEEDED.items(), *_POSSIBLE.items()]
