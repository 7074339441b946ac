"""Raw files: where they are looked for, what is refused, and what a download leaves behind."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmark.ground.errors import MissingData, UserError
from datasets import source as module
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
    """Answers with the right file, a wrong one, one that is cut off, or a redirect."""

    asked: list[str] = []

    def do_GET(self) -> None:
        """Answers one request."""
        self.asked.append(self.path)
        bodies = {"/x": BODY, "/wrong": b"no", "/cut": BODY[:100]}
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "/x")
            self.end_headers()
            return
        self.send_response(200 if self.path in bodies else 404)
        body = bodies.get(self.path, b"")
        self.send_header("Content-Length", str(len(BODY) if self.path == "/cut" else len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    """The address of a server on this machine, which has been asked for nothing yet."""
    Server.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a test download without encryption from its own machine."""
    monkeypatch.setattr(module, "_SCHEMES", ("https", "http"))
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
@pytest.mark.parametrize("path", ["wrong", "cut", "absent"])
def test_bad_download(roots: tuple[Path, Path], address: str, path: str) -> None:
    """A wrong, cut-off or absent download is one line, and nothing of it stays in the cache."""
    with pytest.raises(MissingData, match=f"{address}/{path}: ") as error:
        fetch(roots[1], f"{address}/{path}")
    one_line(error)
    assert files(roots[1]) == []


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

    monkeypatch.setattr(module, "_require_https", require)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(UserError, match="/x is refused"):
        fetch(roots[1], f"{address}/elsewhere")
    assert Server.asked == ["/elsewhere"]
    assert files(roots[1]) == []
