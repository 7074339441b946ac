"""One file over https: what broke goes on where it broke, and nothing takes its place before it is whole and right."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError

from benchmark.ground.errors import UserError
from benchmark.ground.files import remove, sha256, write_text

SCHEMES = ("https",)
TRIES = 4
PAUSE_SECONDS = 1.0  # before the second try, doubled before each later one
TIMEOUT_SECONDS = 30.0  # without a byte
SLOWEST = 1024.0  # bytes a second, over SLOW_SECONDS
SLOW_SECONDS = 60.0
BOUND = 16 << 30  # bytes of a file
_CHUNK = 1 << 16
_AGAIN = (408, 425, 429, 500, 502, 503, 504)


class Broken(Exception):
    """A try failed. again: whether another may do better."""

    def __init__(self, what: str, *, again: bool) -> None:
        super().__init__(what)
        self.again = again


def require_https(url: str) -> None:
    """UserError for an address that is not encrypted."""
    if urlsplit(url).scheme not in SCHEMES:
        raise UserError(f"the address {url!r} is refused: downloads go over https only; give an https address")


def download(url: str, target: Path, wrong: Callable[[Path], str]) -> None:
    """Brings a file to its place. wrong: what is wrong with a whole file, or "". Raises Broken where it can't be had.

    What has come so far lies beside the target, under a name of its own that says what it is a part of, until it is whole.
    """
    half = _Half(target, url)
    with half.alone():
        if target.is_file() and not wrong(target):
            return  # another run has brought it meanwhile
        for number in range(1, TRIES + 1):
            resumed = half.size > 0
            try:
                _fetch(url, half)
                if what := wrong(half.path):
                    half.drop()
                    raise Broken(what, again=resumed)  # what had come before may be of another version
                half.path.replace(target)
                half.drop()
                return
            except Broken as error:
                if not error.again or number == TRIES:
                    raise
            time.sleep(PAUSE_SECONDS * 2 ** (number - 1))


class _Half:
    """The part of a file that has come. tag: the server's name for the version it is of, or ""."""

    def __init__(self, target: Path, url: str) -> None:
        name = f".{target.name}.{sha256(url.encode())[:12]}"
        self.path, self._note, self._lock = (target.with_name(f"{name}.{end}") for end in ("half", "tag", "lock"))

    @property
    def size(self) -> int:
        """How many bytes have come."""
        with contextlib.suppress(OSError):
            return self.path.stat().st_size
        return 0

    @property
    def tag(self) -> str:
        """What to send as If-Range."""
        with contextlib.suppress(OSError, ValueError):
            return str(json.loads(self._note.read_text(encoding="utf-8")))
        return ""

    def begin(self, tag: str) -> None:
        """Starts anew, with another version's tag."""
        self.path.write_bytes(b"")
        write_text(self._note, json.dumps(tag))

    def drop(self) -> None:
        """Forgets what has come."""
        remove(self.path)
        remove(self._note)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds a lock, so that two runs don't write one file; Broken where another holds it."""
        try:
            import fcntl
        except ImportError:  # not on this system
            yield
            return
        with self._lock.open("a") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Broken("another process is downloading it; wait for that", again=False) from None
            try:
                yield
            finally:
                remove(self._lock)


def _fetch(url: str, half: _Half) -> None:
    """One try: asks for what is missing, or for all where the server can't say that it is of the same version."""
    headers = {"Accept-Encoding": "identity"}
    if half.size and half.tag:
        headers.update({"Range": f"bytes={half.size}-", "If-Range": half.tag})
    try:
        hooks = {"response": _refuse_downgrade}
        with requests.get(url, headers=headers, hooks=hooks, stream=True, timeout=TIMEOUT_SECONDS) as response:
            _receive(response, half)
    except requests.TooManyRedirects as error:
        raise Broken(_words(error), again=False) from error
    except (requests.RequestException, HTTPError) as error:
        raise Broken(_words(error), again=True) from error


def _receive(response: requests.Response, half: _Half) -> None:
    """Writes what a response brings after what has come."""
    if response.status_code == 416:  # there is nothing after what has come, so that is all, or of another version
        return
    if response.status_code not in (200, 206):
        raise Broken(f"the server says {response.status_code} {response.reason}", again=response.status_code in _AGAIN)
    goes_on = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {half.size}-")
    if response.status_code == 206 and not goes_on:
        half.drop()
        raise Broken("the server sent another part than it was asked for", again=True)
    if not goes_on:
        tag = response.headers.get("ETag", "")
        half.begin("" if tag.startswith("W/") else tag or response.headers.get("Last-Modified", ""))
    announced = response.headers.get("Content-Length", "")
    total = half.size + int(announced) if announced.isdigit() else None
    if (total or 0) > BOUND:
        raise Broken(f"it has {total:,} bytes; at most {BOUND:,} are downloaded", again=False)
    with half.path.open("ab") as stream:
        for chunk in _not_too_slowly(response):
            stream.write(chunk)
            if stream.tell() > BOUND:
                raise Broken(f"it has more than the {BOUND:,} bytes that are downloaded", again=False)
    if total is not None and half.size != total:
        raise Broken(f"{half.size:,} of {total:,} bytes came", again=True)


def _not_too_slowly(response: requests.Response) -> Iterator[bytes]:
    """The response's bytes; Broken where they come by drops."""
    since, count = time.monotonic(), 0
    while chunk := response.raw.read1(_CHUNK, decode_content=False):  # what is there, as soon as it is there
        yield chunk
        count += len(chunk)
        if (past := time.monotonic() - since) > SLOW_SECONDS:
            if count < SLOWEST * past:
                raise Broken(f"only {count:,} bytes came in {past:.0f} s", again=True)
            since, count = time.monotonic(), 0


def _refuse_downgrade(response: Any, *_: Any, **__: Any) -> None:
    """Called for every response, redirects among them, before the next hop is asked."""
    require_https(response.url)
    if response.is_redirect:
        require_https(urljoin(response.url, response.headers["location"]))


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
