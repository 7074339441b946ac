"""The readers of text and tables, on small files made here, and the control sets, whose structure is known."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import math
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import datasets
from benchmark.ground.errors import MissingData
from benchmark.report.text import card_text, here
from datasets.parts import control, text
from datasets.source import Source

NAMES = ["cooking", "sailing"]


class TestTerms:
    """What counts as a term."""

    def test_runs_of_letters(self) -> None:
        """Terms are runs of two or more letters in lower case; digits, single letters and function words are none."""
        assert text.terms("The Cat's 3 cats, CAT-like: a c4t; don't!") == {"cat": 2, "cats": 1, "like": 1}

    @pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "cp1252"])
    def test_no_encoding_matters(self, encoding: str) -> None:
        """A text has the same terms in whatever encoding its bytes are read as Latin-1."""
        body = "£5 for a café au lait".encode(encoding).decode("latin-1")
        assert text.terms(body) == {"caf": 1, "au": 1, "lait": 1}

    def test_letters_beyond_ascii(self) -> None:
        """The Kelvin sign, whose lower case is the letter k, is no letter of a term."""
        assert text.terms("\N{KELVIN SIGN}elvin scale") == {"elvin": 1, "scale": 1}


class TestTfidf:
    """The vectors of texts."""

    def test_formula(self) -> None:
        """A weight is (1 + ln tf)·(1 + ln((1 + n)/(1 + df))), and a row's mean square is 1."""
        x = text.tfidf(["salt salt salt pepper", "salt boat", "boat boat"], size=3)
        want = np.zeros((3, 3))
        for term, column in (("boat", 0), ("pepper", 1), ("salt", 2)):
            tf = [0, 1, 2] if term == "boat" else [1, 0, 0] if term == "pepper" else [3, 1, 0]
            idf = 1 + math.log(4 / (1 + np.count_nonzero(tf)))
            want[:, column] = [(1 + math.log(n)) * idf if n else 0 for n in tf]
        want *= math.sqrt(3) / np.linalg.norm(want, axis=1, keepdims=True)
        assert x.dtype == np.float32
        assert np.abs(x - want).max() <= 0.5 / text.GRID + 1e-7
        assert np.array_equal(x * text.GRID, np.rint(x * text.GRID))

    def test_agrees_with_scikit_learn(self) -> None:
        """scikit-learn's vectoriser, with the logarithm of counts, gives the same but for the rounding."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        draw = np.random.default_rng(0)
        words = ["".join(letters) for letters in draw.choice(list("bcdfgh"), (40, 5))]
        texts = [" ".join(draw.choice(words, 30)) for _ in range(50)]
        tool = TfidfVectorizer(sublinear_tf=True, dtype=np.float64)
        want = tool.fit_transform(texts).toarray()
        assert np.abs(text.tfidf(texts, want.shape[1]) - want * math.sqrt(want.shape[1])).max() <= 0.5 / text.GRID + 1e-6

    def test_most_frequent(self) -> None:
        """The terms that occur most often are kept; of equally frequent ones those first in the alphabet."""
        x = text.tfidf(["dd cc cc bb", "aa ee"], size=3)
        assert np.array_equal(x != 0, [[False, True, True], [True, False, False]])

    def test_row_of_none(self) -> None:
        """A text with none of the terms is a row of zeros."""
        x = text.tfidf(["salt salt", "salt", "rare"], size=1)
        assert x.ravel().tolist() == [1, 1, 0]

    def test_too_few_terms(self) -> None:
        """Texts with fewer terms than columns are refused."""
        with pytest.raises(ValueError, match="too few terms: 2, but 3 are needed"):
            text.tfidf(["salt pepper"], size=3)


def line(**changes: object) -> str:
    """One document as a line of JSON."""
    return json.dumps({"split": "train", "target": 0, "target_name": "cooking", "id": "01", "text": "salt"} | changes)


class TestLines:
    """Texts as JSON lines."""

    def write(self, folder: Path, *lines: str) -> Path:
        """A packed file."""
        path = folder / "demo.jsonl.xz"
        path.write_bytes(lzma.compress("\n".join(lines).encode()))
        return path

    def test_right(self, tmp_path: Path) -> None:
        """A document has its part, class, number and text; without a split all are train."""
        bare = json.dumps({"target": 0, "target_name": "cooking", "id": "2", "text": "x"})
        found = text.read_lines(self.write(tmp_path, line(split="test", target=1, target_name="sailing", id="012"), bare), NAMES)
        assert found == [text.Text(1, 1, 12, "salt"), text.Text(0, 0, 2, "x")]

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ("[1, 2]", "line 2 lacks"),
            ("{}", "line 2 lacks"),
            (line(id=3), "line 2 lacks"),
            (line(text=None), "line 2 lacks"),
            (line(target=1), "line 2 has the target 1 for 'cooking'"),
            (line(target="0"), "line 2 has the target '0'"),
            (line(target_name="flying"), "none of the classes cooking, sailing"),
            (line(split="dev"), "of the part 'dev'"),
            (line(split=None), "of the part None"),
            (line(id="../1"), "has no number"),
            (line(id="²"), "has no number"),
            ("{", "Expecting property name"),
        ],
    )
    def test_wrong(self, tmp_path: Path, wrong: str, message: str) -> None:
        """Anything but a document of the collection is refused, with its place."""
        with pytest.raises(ValueError, match=message):
            text.read_lines(self.write(tmp_path, line(), wrong), NAMES)

    def test_cut_off(self, tmp_path: Path) -> None:
        """A file that is cut off is damaged, and is one line."""
        path = tmp_path / "bbc-news.jsonl.xz"
        path.write_bytes(lzma.compress(line(target_name="business").encode() * 99)[:-20])
        with pytest.raises(MissingData, match=r"^dataset 'bbc-news': the file .* is damaged: .*$"):
            datasets.get("bbc-news").load(Source(tmp_path, tmp_path / "cache", name="bbc-news"))


def tar(path: Path, bodies: dict[str, bytes]) -> None:
    """A packed tar archive, and in it a link that leads out."""
    with tarfile.open(path, "w:gz") as archive:
        for name, body in bodies.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
        link = tarfile.TarInfo("20news-bydate-train/alt.atheism/9999999")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)


def zipped(path: Path, bodies: dict[str, bytes]) -> None:
    """A zip archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in bodies.items():
            archive.writestr(name, body)


def vocabulary(seed: int) -> str:
    """A text of 300 words of its own, in random order."""
    words = ["".join(letters) for letters in np.random.default_rng(seed).choice(list("bcdfghjklm"), (300, 6))]
    return " ".join(words) + " £ café"


class TestArchives:
    """The official archives, made here on a small scale."""

    NEWS = {  # id, class, part
        (51, "alt.atheism", "train"): 0,
        (9, "alt.atheism", "train"): 1,
        (7, "sci.med", "train"): 2,
        (9, "sci.med", "test"): 3,
        (100, "alt.atheism", "test"): 4,
        (30, "rec.autos", "test"): 5,
        (31, "rec.autos", "test"): 6,
        (32, "rec.autos", "train"): 7,
    }

    def test_two_ways_in(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The archive of 20 Newsgroups and the JSON lines, in any order, give the same arrays: by part, group, number."""
        module = datasets.get("20newsgroups")
        names = list(module.card.class_names)
        members = {f"20news-bydate-{p}/{g}/{i}": vocabulary(s).encode("latin-1") for (i, g, p), s in self.NEWS.items()}
        first = tmp_path / "first"
        first.mkdir()
        tar(first / "20news-bydate.tar.gz", members)
        checksum = "sha256:" + hashlib.sha256((first / "20news-bydate.tar.gz").read_bytes()).hexdigest()
        monkeypatch.setitem(module.card.files, "20news-bydate.tar.gz", checksum)
        second = tmp_path / "second"
        second.mkdir()
        fields = [
            {"split": p, "target": names.index(g), "target_name": g, "id": str(i), "text": vocabulary(s)}
            for (i, g, p), s in reversed(self.NEWS.items())
        ]
        packed = lzma.compress("\n".join(map(json.dumps, fields)).encode())
        (second / "20newsgroups.jsonl.xz").write_bytes(packed)
        one, two = (module.load(Source(folder, tmp_path / "cache", name="20newsgroups")) for folder in (first, second))
        assert one.labels.tolist() == two.labels.tolist() == [0, 0, 7, 13, 0, 7, 7, 13]
        assert one.split is not None
        assert one.split.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
        assert one.inputs.tobytes() == two.inputs.tobytes()
        shared = text.tfidf([vocabulary(s) for s in (1, 0, 7, 2, 4, 5, 6, 3)])
        assert one.inputs.tobytes() == shared.tobytes()

    def test_checksum_before_parsing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An archive of 20 Newsgroups with another checksum is never opened."""
        tar(tmp_path / "20news-bydate.tar.gz", {})
        monkeypatch.setattr(text, "read_archive", lambda *_: pytest.fail("it was opened"))
        with pytest.raises(MissingData, match="is damaged: its sha256"):
            datasets.get("20newsgroups").load(Source(tmp_path, tmp_path / "cache", name="20newsgroups"))

    def bbc(self, folder: Path, bodies: dict[str, bytes], name: str = "bbc-news", file: str = "bbc-fulltext.zip") -> list[int]:
        """The labels of a set from an archive made here."""
        zipped(folder / file, bodies)
        return datasets.get(name).load(Source(folder, folder / "cache", name=name)).labels.tolist()

    def test_bbc(self, tmp_path: Path) -> None:
        """The archive of BBC News is read by section and number, and what is no article is left out."""
        kinds = ["tech", "business", "sport", "tech", "politics", "sport", "entertainment"]
        bodies = {f"bbc/{kind}/{9 - i:03}.txt": vocabulary(i).encode() for i, kind in enumerate(kinds)}
        bodies |= {"bbc/README.TXT": b"read me", "bbc/tech/": b"", "__MACOSX/bbc/tech/._001.txt": b"\0"}
        assert self.bbc(tmp_path, bodies) == [0, 1, 2, 3, 3, 4, 4]

    @pytest.mark.parametrize(
        ("name", "body", "message"),
        [
            ("bbc/weather/001.txt", b"rain", "none of the classes business"),
            ("bbc/tech/001.txt", b"a" * (text._LIMIT + 1), "larger than 1,048,576 bytes"),
            ("bbc/tech/001.txt", b"rare words", "too few terms: 2, but 2000"),
            ("../bbc/tech/001.txt", b"salt", "too few terms: 0"),
            ("/etc/tech/001.txt", b"salt", "too few terms: 0"),
        ],
    )
    def test_hostile_members(self, tmp_path: Path, name: str, body: bytes, message: str) -> None:
        """Other sections, members that swell and paths that lead elsewhere are refused or left out; nothing is unpacked."""
        with pytest.raises(MissingData, match=f"is damaged: .*{message}"):
            self.bbc(tmp_path, {name: body})
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["bbc-fulltext.zip"]

    @pytest.mark.parametrize("change", [lambda b: b[:-30], lambda b: b"", lambda b: b"<html>" + b])
    def test_cut_off(self, tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
        """An archive that is cut off, empty or a page is damaged."""
        path = tmp_path / "bbc-fulltext.zip"
        zipped(path, {"bbc/tech/001.txt": b"salt"})
        path.write_bytes(change(path.read_bytes()))
        with pytest.raises(MissingData, match=r"bbc-fulltext\.zip is damaged"):
            datasets.get("bbc-news").load(Source(tmp_path, tmp_path / "cache", name="bbc-news"))


class TestControlSets:
    """Sets whose structure is known."""

    @pytest.mark.parametrize("name", ["gaussians-99", "gaussians-90", "gaussians-70"])
    def test_bayes_accuracy(self, name: str) -> None:
        """The card's best accuracy is the integral, and what the nearest true mean gets right among 200,000 points."""
        module = datasets.get(name)
        card, a = module.card, module.APART
        integral, _ = quad(lambda t: norm.pdf(t) * norm.cdf(t + a) ** (card.classes - 1), -12, 12, epsabs=1e-12)
        assert integral == pytest.approx(card.bayes_acc, abs=1e-6)
        n = 200_000
        raw, means = control.gaussians(a, n, card.classes, seed=1)
        assert np.allclose(means @ means.T, a * a * np.eye(card.classes))
        # The means have one length, so the nearest has the largest inner product.
        right = np.mean((raw.inputs @ means.T).argmax(axis=1) == raw.labels)
        assert abs(right - card.bayes_acc) < 4 * math.sqrt(card.bayes_acc * (1 - card.bayes_acc) / n)

    def test_subspaces(self) -> None:
        """A class spans four dimensions but for the noise, and its points lie on no other class's span."""
        module = datasets.get("subspaces")
        raw = module.load(None)
        parts = [raw.inputs[raw.labels == label].astype(np.float64) for label in range(8)]
        bases = []
        for part in parts:
            _, values, directions = np.linalg.svd(part, full_matrices=False)
            assert values[3] > 10 * values[4]
            bases.append(directions[:4])
        left = [np.linalg.norm(raw.inputs - raw.inputs @ basis.T @ basis, axis=1) for basis in bases]
        assert np.mean(np.argmin(left, axis=0) == raw.labels) > 0.99

    def test_rings(self) -> None:
        """The nearest radius tells the rings apart; their means are one point."""
        raw = datasets.get("rings").load(None)
        radius = np.linalg.norm(raw.inputs, axis=1)
        assert np.mean(np.clip(np.rint(radius), 1, 3) - 1 == raw.labels) > 0.999
        assert max(np.linalg.norm(raw.inputs[raw.labels == label].mean(axis=0)) for label in range(3)) < 0.2

    def test_grid(self) -> None:
        """Values lie on the grid, far from where a last bit turns them, and no zero has a sign."""
        raw = control.on_grid(np.array([[1e-9, -1e-9, 1.0, -2.5]]), np.array([0]))
        assert raw.inputs.tolist() == [[0, 0, 1, -2.5]]
        assert not np.signbit(raw.inputs[0, :3]).any()
        for name in ("gaussians-70", "subspaces", "rings"):
            scaled = datasets.get(name).load(None).inputs * control.GRID
            assert np.array_equal(scaled, np.rint(scaled))


class TestShown:
    """What a user reads of these sets."""

    def test_flags(self) -> None:
        """A card's flags are shown as they are, whether true or false."""
        shown = dict(row.split(maxsplit=1) for row in card_text("gaussians-90").splitlines() if len(row.split()) == 2)
        assert (shown["bayes_acc"], shown["development"], shown["standardise"]) == ("0.9", "no", "yes")

    @pytest.mark.parametrize(("name", "file"), [("bbc-news", "bbc-fulltext.zip"), ("20newsgroups", "20newsgroups.jsonl.xz")])
    def test_here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, file: str) -> None:
        """A set is here when either of its files is."""
        monkeypatch.setenv("BLINDBENCH_DATA", str(tmp_path))
        monkeypatch.setenv("BLINDBENCH_CACHE", str(tmp_path / "cache"))
        assert here(name).startswith("no")
        (tmp_path / file).write_bytes(b"")
        assert here(name) == "yes"
