"""Raw files: where they are looked for, what is refused, and what a download leaves behind."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmark.ground.errors import MissingData, UserError
from benchmark.store import Cache
from datasets.parts import download
from datasets.source import Source

BODY = b"the official bytes" * 1000
SUM = f"md5:{hashlib.md5(BODY).hexdigest()}"


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """An empty data folder and an empty cache."""
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    cache.mkdir()
    return data, cache


def put(path: Path, body: bytes = BODY) -> Path:
    """Writes a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def files(folder: Path) -> list[str]:
    """Every file and link below a folder, and everything half-written."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir() or path.name.endswith(".part"))


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    """The message, which must be a single line that names a next step."""
    text = str(error.value)
    assert "\n" not in text
    assert "run_all.py data get demo" in text
    return text


def test_the_data_folder_comes_first(roots: tuple[Path, Path]) -> None:
    """A file in the data folder is taken before the same file in the cache, and the cache before nothing."""
    data, cache = roots
    source = Source(data, cache, name="demo")
    cached = put(cache / "raw" / "MNIST" / "x")
    assert source.find("MNIST/x", checksum=SUM) == cached
    own = put(data / "MNIST" / "x")
    assert source.find("MNIST/x", checksum=SUM) == own
    assert source.has("MNIST/x")
    assert not source.has("MNIST")


def test_missing(roots: tuple[Path, Path]) -> None:
    """An absent file is one line that says where it was looked for; nothing is downloaded unasked."""
    data, cache = roots
    with pytest.raises(MissingData) as error:
        Source(data, cache, name="demo").find("MNIST/x", urls=["https://localhost:1/x"])
    text = one_line(error)
    assert f"(not in the data folder {data}; not in the cache {cache / 'raw'})" in text
    assert files(cache) == []
    with pytest.raises(MissingData, match="BLINDBENCH_DATA is not set"):
        Source(None, cache, name="demo").find("MNIST/x")


@pytest.mark.parametrize("body", [BODY[:-1], b"", BODY[:-1] + b"!"], ids=["cut off", "empty", "changed"])
def test_wrong_checksum(roots: tuple[Path, Path], body: bytes) -> None:
    """A file whose checksum differs is refused before anything reads it, and the user's file is left alone."""
    data, cache = roots
    own = put(data / "x", body)
    with pytest.raises(MissingData, match="is damaged: its md5 is") as error:
        Source(data, cache, download=True, name="demo").find("x", checksum=SUM, urls=["https://localhost:1/x"])
    one_line(error)
    assert own.read_bytes() == body
    assert files(cache) == []


def test_checksum_kinds(roots: tuple[Path, Path]) -> None:
    """SHA-256 is verified too, and an unknown kind of checksum is a mistake of the card."""
    data, cache = roots
    put(data / "x")
    source = Source(data, cache, name="demo")
    assert source.find("x", checksum=f"sha256:{hashlib.sha256(BODY).hexdigest()}")
    with pytest.raises(MissingData):
        source.find("x", checksum=f"sha256:{'0' * 64}")
    for checksum in ("crc:1", "md5:", SUM.removeprefix("md5:")):
        with pytest.raises(UserError, match="is not 'md5"):
            source.find("x", checksum=checksum)


def test_links_out_of_the_folder(roots: tuple[Path, Path], tmp_path: Path) -> None:
    """A link out of the data folder is refused, of a file and of a folder; one that stays inside is followed."""
    data, cache = roots
    outside = put(tmp_path / "elsewhere" / "x")
    (data / "x").symlink_to(outside)
    (data / "MNIST").symlink_to(outside.parent, target_is_directory=True)
    put(data / "real")
    (data / "inside").symlink_to(data / "real")
    source = Source(data, cache, name="demo")
    for path in ("x", "MNIST/x", "../elsewhere/x"):
        with pytest.raises(MissingData, match="a link out of") as error:
            source.find(path, checksum=SUM)
        one_line(error)
    assert source.find("inside", checksum=SUM)


def test_the_data_folder_may_be_a_link(roots: tuple[Path, Path], tmp_path: Path) -> None:
    """The data folder itself may be a link."""
    data, cache = roots
    put(data / "x")
    (tmp_path / "link").symlink_to(data, target_is_directory=True)
    assert Source(tmp_path / "link", cache).find("x", checksum=SUM)


def test_reading_turns_errors_into_one_line(roots: tuple[Path, Path]) -> None:
    """Whatever a parser raises on a bad file becomes one line; a mistake of the program stays what it is."""
    source = Source(*roots, name="demo")
    with pytest.raises(MissingData, match="damaged: two lines") as error, source.reading(Path("x")):
        raise ValueError("two\nlines")
    one_line(error)
    with pytest.raises(AttributeError), source.reading(Path("x")):
        raise AttributeError("a bug")


class Server(BaseHTTPRequestHandler):
    """Answers as its path says. asked: every path and the Range that came with it."""

    asked: list[str] = []
    ranges: list[str | None] = []

    def do_GET(self) -> None:
        """Answers one request."""
        self.asked.append(self.path)
        self.ranges.append(self.headers.get("Range"))
        if self.path in REDIRECTS:
            self.send_response(302)
            self.send_header("Location", REDIRECTS[self.path])
            self.end_headers()
            return
        getattr(self, self.path.strip("/"), self.absent)()

    @property
    def first(self) -> bool:
        """Whether this is the first request for its path."""
        return self.asked.count(self.path) == 1

    def answer(self, body: bytes, *, status: int = 200, length: int | None = None, **headers: str) -> None:
        """Sends headers and a body."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)

    def absent(self) -> None:
        """404, whatever the path."""
        self.answer(b"", status=404)

    def forbidden(self) -> None:
        """403."""
        self.answer(b"", status=403)

    def x(self) -> None:
        """The right file."""
        self.answer(BODY)

    def wrong(self) -> None:
        """Another file."""
        self.answer(b"no")

    def cut(self) -> None:
        """Always the first hundred bytes, whatever is asked."""
        self.answer(BODY[:100], length=len(BODY))

    def ill(self) -> None:
        """500 at first."""
        self.answer(b"", status=500) if self.first else self.answer(BODY)

    def resumes(self) -> None:
        """Cut off at first; then what is missing, if it is still the version that was asked for."""
        asked = self.headers.get("Range")
        if not asked:
            self.answer(BODY[:5000], length=len(BODY), ETag='"one"')
            return
        assert self.headers["If-Range"] == '"one"'
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        headers = {"ETag": '"one"', "Content_Range": f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"}
        self.answer(BODY[start:][:5000], status=206, length=len(BODY) - start, **headers)

    def changes(self) -> None:
        """Cut off at first, and then another version."""
        if self.first:
            self.answer(b"old" * 2000, length=len(BODY), ETag='"one"')
        else:
            self.answer(BODY, ETag='"two"')

    def another_part(self) -> None:
        """Cut off at first, and then a part that nobody asked for."""
        if self.first:
            self.answer(BODY[:5000], length=len(BODY), ETag='"one"')
        elif "Range" in self.headers:
            self.answer(BODY[7:], status=206, Content_Range=f"bytes 7-{len(BODY) - 1}/{len(BODY)}")
        else:
            self.answer(BODY)

    def lies(self) -> None:
        """Sound so far, but what was cut off was of another file: only the checksum tells."""
        if self.first:
            self.answer(b"?" * 5000, length=len(BODY), ETag='"one"')
        elif "Range" in self.headers:
            self.answer(BODY[5000:], status=206, Content_Range=f"bytes 5000-{len(BODY) - 1}/{len(BODY)}")
        else:
            self.answer(BODY)

    def more(self) -> None:
        """More than it announces."""
        self.answer(BODY + b"and more", length=len(BODY))

    def less(self) -> None:
        """It announces less than the file has."""
        self.answer(BODY, length=len(BODY) - 10)

    def huge(self) -> None:
        """It announces more than anybody wants."""
        self.answer(BODY, length=1 << 50)

    def endless(self) -> None:
        """It announces nothing and does not end."""
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            while True:
                self.wfile.write(BODY)

    def trickles(self) -> None:
        """A byte now and then."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for place in range(100):
                self.wfile.write(BODY[place : place + 1])
                time.sleep(0.02)

    def hangs(self) -> None:
        """Nothing for a while."""
        time.sleep(1)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


REDIRECTS = {"/elsewhere": "/x", "/round": "/round", "/down": "http://localhost:1/x"}


@pytest.fixture
def address() -> Iterator[str]:
    """The address of a server on this machine, which has been asked for nothing yet."""
    Server.asked.clear()
    Server.ranges.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a test download without encryption from its own machine."""
    monkeypatch.setattr(download, "SCHEMES", ("https", "http"))
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def fetch(cache: Path, *urls: str, checksum: str = SUM) -> Path:
    """Asks for a file that only a download can bring."""
    return Source(None, cache, download=True, name="demo").find("MNIST/x", checksum=checksum, urls=urls)


@pytest.mark.usefixtures("plain_http")
def test_download(roots: tuple[Path, Path], address: str) -> None:
    """A download lands whole in the cache's raw folder, and is not asked for again."""
    cache = roots[1]
    assert fetch(cache, f"{address}/x").read_bytes() == BODY
    assert fetch(cache, f"{address}/x").read_bytes() == BODY
    assert Server.asked == ["/x"]
    assert files(cache) == ["raw/MNIST/x"]


@pytest.mark.usefixtures("plain_http")
def test_download_follows_on(roots: tuple[Path, Path], address: str) -> None:
    """A redirect is followed, and where one address fails the next is asked."""
    assert fetch(roots[1], f"{address}/absent", f"{address}/elsewhere").read_bytes() == BODY


@pytest.mark.usefixtures("plain_http")
@pytest.mark.parametrize(
    ("path", "said", "times"),
    [
        ("wrong", "its md5 is", 1),
        ("less", "its md5 is", 1),
        ("absent", "the server says 404", 1),
        ("forbidden", "the server says 403", 1),
        ("round", "redirects", 31),
        ("huge", "it has 1,125,899,906,842,624 bytes; at most", 1),
        ("endless", "it has more than the 2,097,152 bytes", 1),
        ("cut", "IncompleteRead|100 of 18,000 bytes came", download.TRIES),
        ("trickles", "bytes came in 0 s", download.TRIES),
        ("hangs", "timed out", download.TRIES),
    ],
)
def test_bad_download(
    roots: tuple[Path, Path], address: str, path: str, said: str, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong is one line, after as many tries as it deserves; nothing takes the file's place."""
    if path == "trickles":
        monkeypatch.setattr(download, "SLOW_SECONDS", 0.1)
    if path == "hangs":
        monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.1)
    if path == "endless":
        monkeypatch.setattr(download, "BOUND", 1 << 21)
    with pytest.raises(MissingData, match=f"{address}/{path}: .*({said})") as error:
        fetch(roots[1], f"{address}/{path}")
    one_line(error)
    assert len(Server.asked) == times
    assert not Source(None, roots[1]).has("MNIST/x")
    assert all(name.endswith((".half", ".tag")) for name in files(roots[1]))


@pytest.mark.usefixtures("plain_http")
@pytest.mark.parametrize(
    ("path", "ranges"),
    [
        ("ill", [None, None]),
        ("more", [None]),
        ("resumes", [None, "bytes=5000-", "bytes=10000-", "bytes=15000-"]),
        ("changes", [None, "bytes=6000-"]),
        ("another_part", [None, "bytes=5000-", None]),
        ("lies", [None, "bytes=5000-", None]),
    ],
)
def test_what_broke_is_mended(roots: tuple[Path, Path], address: str, path: str, ranges: list[str | None]) -> None:
    """What broke goes on where it broke, or starts anew where it is another version by now; then nothing but the file is left."""
    assert fetch(roots[1], f"{address}/{path}").read_bytes() == BODY
    assert Server.ranges == ranges
    assert files(roots[1]) == ["raw/MNIST/x"]


@pytest.mark.usefixtures("plain_http")
def test_the_next_run_goes_on(roots: tuple[Path, Path], address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one run has got the next one needs not ask for; between them the cache's tidying lets it lie."""
    cache = roots[1]
    with monkeypatch.context() as patch:
        patch.setattr(download, "TRIES", 2)
        with pytest.raises(MissingData):
            fetch(cache, f"{address}/resumes")
    assert sum(path.stat().st_size for path in cache.rglob("*.half")) == 10000
    Cache(cache).tidy()
    assert fetch(cache, f"{address}/resumes").read_bytes() == BODY
    assert Server.ranges == [None, "bytes=5000-", "bytes=10000-", "bytes=15000-"]
    assert files(cache) == ["raw/MNIST/x"]


@pytest.mark.usefixtures("plain_http")
def test_two_runs_don_t_write_one_file(roots: tuple[Path, Path], address: str) -> None:
    """While one process downloads a file another says so, and asks the server for nothing."""
    half = download._Half(roots[1] / "raw" / "MNIST" / "x", f"{address}/x")
    half.path.parent.mkdir(parents=True)
    with half.alone(), pytest.raises(MissingData, match="another process is downloading it"):
        fetch(roots[1], f"{address}/x")
    assert Server.asked == []
    assert fetch(roots[1], f"{address}/x").read_bytes() == BODY


@pytest.mark.usefixtures("plain_http")
def test_damaged_cache_is_repaired(roots: tuple[Path, Path], address: str) -> None:
    """A damaged file in the cache is downloaded again where downloads are allowed, and reported where not."""
    cache = roots[1]
    put(cache / "raw" / "MNIST" / "x", b"damaged")
    with pytest.raises(MissingData, match="damaged"):
        Source(None, cache, name="demo").find("MNIST/x", checksum=SUM, urls=[f"{address}/x"])
    assert fetch(cache, f"{address}/x").read_bytes() == BODY


def test_only_https(roots: tuple[Path, Path], address: str) -> None:
    """An address without https is refused before anything is asked of it."""
    with pytest.raises(UserError, match="over https only"):
        fetch(roots[1], f"{address}/x")
    assert Server.asked == []
    assert files(roots[1]) == []


def test_no_redirect_down_to_http(roots: tuple[Path, Path], address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect to an address without https is refused, and nothing of it is fetched."""

    def require(url: str) -> None:
        if url.endswith("/x"):
            raise UserError(f"{url} is refused")

    monkeypatch.setattr(download, "require_https", require)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(UserError, match="/x is refused"):
        fetch(roots[1], f"{address}/elsewhere")
    assert Server.asked == ["/elsewhere"]
    assert files(roots[1]) == []
