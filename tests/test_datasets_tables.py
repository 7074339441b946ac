"""The readers of tables, of .Z files and of RCV1, on small files made here, and the script behind the sets mnist-2d to 64d."""

from __future__ import annotations

import dataclasses
import gzip
import shutil
import subprocess
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import norm

import datasets
from benchmark.ground.errors import MissingData
from benchmark.recipes import mnist_nd
from datasets import prepare, reuters_10k
from datasets.base import Raw
from datasets.parts import lzw, tables
from datasets.source import Source


def load(name: str, folder: Path) -> Raw:
    """A set from the files in `folder`."""
    return datasets.get(name).load(Source(folder, folder / "cache", name=name))


def write(path: Path, rows: Iterable[Iterable[object]], separator: str = ",") -> Path:
    """A table as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(separator.join(map(str, row)) + "\n" for row in rows))
    return path


class TestTables:
    """What all tables share."""

    def test_right(self) -> None:
        """Fields may have spaces, lines may be blank, numbers may be in any form."""
        fields = tables.rows(b" 1, 2.5 ,3e-1\n\n-4,+5,6.\r\n", 3)
        assert tables.numbers(fields).tolist() == [[1, 2.5, 0.3], [-4, 5, 6]]
        assert tables.rows(b"  1.0   2.0 \n", 2, None) == [["1.0", "2.0"]]

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"", "holds no line"),
            (b"\n \n", "holds no line"),
            (b"1,2,3\n1,2\n", "line 2 holds 2 values, not 3"),
            (b"1,2,3,4\n", "line 1 holds 4 values, not 3"),
            (b"1,2,x\n", "could not convert"),
            (b"1,,3\n", "could not convert"),
            (b"1,nan,3\n", "'nan' is no finite number"),
            (b"1,2,inf\n", "'inf' is no finite number"),
            (b"1,2,\xff\n", "can't decode"),
            (b"<!DOCTYPE html>\n", "line 1 holds 1 values, not 3"),
        ],
    )
    def test_wrong(self, body: bytes, message: str) -> None:
        """Rows of another length, words, what isn't finite and pages are refused."""
        with pytest.raises(ValueError, match=message):
            tables.numbers(tables.rows(body, 3))

    def test_classes(self) -> None:
        """Labels count from 0, whatever they count from in the file; another one is refused."""
        assert tables.classes(["1.", "3.", " 2."], 1, 3).tolist() == [0, 2, 1]
        for wrong in ("0", "4", "1.5", "nan"):
            with pytest.raises(ValueError, match=r"does not lie in 1\.\.3"):
                tables.classes(["1", wrong], 1, 3)


class TestUci:
    """The sets of the UCI repository."""

    draw = np.random.default_rng(0)

    def test_pendigits(self, tmp_path: Path) -> None:
        """The train file comes before the test file; the last column is the label."""
        table = self.draw.integers(0, 101, (5, 17))
        table[:, 16] = [8, 2, 1, 0, 9]
        write(tmp_path / "pendigits/pendigits.tra", table[:3], ", ")
        write(tmp_path / "pendigits/pendigits.tes", table[3:])
        raw = load("pendigits", tmp_path)
        assert np.array_equal(raw.inputs, table[:, :16].astype(np.float32))
        assert raw.inputs.dtype == np.float32
        assert raw.labels.tolist() == [8, 2, 1, 0, 9]
        assert raw.split is not None
        assert raw.split.tolist() == [0, 0, 0, 1, 1]

    def test_pendigits_cut_off(self, tmp_path: Path) -> None:
        """A row that breaks off is damage, and so is a file with too few rows."""
        write(tmp_path / "pendigits/pendigits.tra", [[0] * 17])
        path = write(tmp_path / "pendigits/pendigits.tes", [[0] * 17])
        with pytest.raises(MissingData, match=r"shape of the inputs is \(2, 16\), but the card says \(10992, 16\)"):
            prepare.prepare("pendigits", cache=tmp_path / "cache", data=tmp_path)
        path.write_text(path.read_text()[:-6])
        with pytest.raises(MissingData, match=r"pendigits\.tes is damaged: its line 1 holds 15 values, not 17"):
            load("pendigits", tmp_path)

    def test_letter(self, tmp_path: Path) -> None:
        """The label is a letter in the first column; the last 4,000 rows are the test part."""
        table = self.draw.integers(0, 16, (4003, 16))
        letters = self.draw.choice(list("ABCXYZ"), 4003)
        path = write(
            tmp_path / "letter-recognition/letter-recognition.data", ([a, *row] for a, row in zip(letters, table, strict=True))
        )
        raw = load("letter", tmp_path)
        assert np.array_equal(raw.inputs, table.astype(np.float32))
        assert [chr(65 + label) for label in raw.labels] == letters.tolist()
        assert raw.split is not None
        assert raw.split.tolist() == [0] * 3 + [1] * 4000
        path.write_text(path.read_text().replace("Z,", "Ä,"), encoding="utf-8")
        with pytest.raises(MissingData, match="is damaged"):
            load("letter", tmp_path)

    def har(self, folder: Path, **bodies: str) -> Path:
        """The archive of HAR with two train rows and one test row; bodies: changed members, by their stem."""
        rows = "".join(" ".join(f"{value:16.7e}" for value in row) + "\n" for row in np.tile([[0.25], [-0.5], [1.0]], 561))
        lines = rows.splitlines(keepends=True)
        members = {"X_train": "".join(lines[:2]), "y_train": "5\n1\n", "X_test": lines[2], "y_test": "6\n"} | bodies
        path = folder / "har" / "UCI HAR Dataset.zip"
        path.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, body in members.items():
                archive.writestr(f"UCI HAR Dataset/{name.rsplit('_', 1)[1]}/{name}.txt", body)
        return path

    def test_har(self, tmp_path: Path) -> None:
        """The train part comes before the test part; activities are numbered from 1."""
        self.har(tmp_path)
        raw = load("har", tmp_path)
        assert raw.inputs.shape == (3, 561)
        assert raw.inputs[:, 0].tolist() == [0.25, -0.5, 1]
        assert raw.labels.tolist() == [4, 0, 5]
        assert raw.split is not None
        assert raw.split.tolist() == [0, 0, 1]

    @pytest.mark.parametrize(
        ("bodies", "message"),
        [
            ({"y_train": "5\n"}, "train part has 2 rows and 1 labels"),
            ({"y_test": "7\n"}, r"label '7' does not lie in 1\.\.6"),
            ({"X_test": "1.0 2.0\n"}, "line 1 holds 2 values, not 561"),
        ],
    )
    def test_har_wrong(self, tmp_path: Path, bodies: dict[str, str], message: str) -> None:
        """Rows without labels, unknown activities and short rows are damage."""
        self.har(tmp_path, **bodies)
        with pytest.raises(MissingData, match=message):
            load("har", tmp_path)

    def test_har_cut_off(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An archive without a member, one that swells and one that is cut off are damage."""
        path = self.har(tmp_path)
        monkeypatch.setattr(tables, "_LIMIT", 1000)
        with pytest.raises(MissingData, match="larger than 1,000 bytes"):
            load("har", tmp_path)
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(MissingData, match="is damaged"):
            load("har", tmp_path)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("../X_train.txt", "1")
        with pytest.raises(MissingData, match=r"has no member 'UCI HAR Dataset/train/X_train\.txt'"):
            load("har", tmp_path)
        assert not (tmp_path / "X_train.txt").exists()

    def test_isolet(self, tmp_path: Path) -> None:
        """The fifth group is the test part; packed and unpacked files give the same."""
        table = self.draw.integers(-9999, 9999, (4, 617)) / 10000
        rows = [[f"{value:.4f}" for value in row] + [f"{label}."] for row, label in zip(table, (1, 26, 2, 3), strict=True)]
        plain = [
            write(tmp_path / "isolet" / name, part, ", ")
            for name, part in (("isolet1+2+3+4.data", rows[:3]), ("isolet5.data", rows[3:]))
        ]
        one = load("isolet", tmp_path)
        assert np.array_equal(one.inputs, table.astype(np.float32))
        assert one.labels.tolist() == [0, 25, 1, 2]
        assert one.split is not None
        assert one.split.tolist() == [0, 0, 0, 1]
        for path in plain:
            Path(f"{path}.Z").write_bytes(pack(path.read_bytes()))
            path.unlink()
        two = load("isolet", tmp_path)
        assert one.inputs.tobytes() == two.inputs.tobytes()
        assert one.labels.tolist() == two.labels.tolist()


def pack(data: bytes, most: int = 16, clear_every: int = 0) -> bytes:
    """Packs as Unix compress does; clear_every: forget the table after so many codes, as compress does when it gains no more."""
    out, codes = bytearray(b"\x1f\x9d" + bytes([0x80 | most])), []
    table, width, word = {bytes([value]): value for value in range(256)}, 9, b""
    known = 257

    def flush() -> None:
        bits = sum(code << (i * width) for i, code in enumerate(codes))
        out.extend(bits.to_bytes((len(codes) * width + 7) // 8, "little"))
        codes.clear()

    def emit(code: int) -> None:
        codes.append(code)
        if len(codes) == 8:
            flush()

    def pad() -> None:
        if codes:
            codes.extend([0] * (8 - len(codes)))
            flush()

    written = 0
    for value in data:
        longer = word + bytes([value])
        if longer in table:
            word = longer
            continue
        emit(table[word])
        written += 1
        if known < 1 << most:
            # The reader learns an entry one code later than the writer.
            if known > 1 << width:
                raise AssertionError
            if known == (1 << width) and width < most:
                pad()
                width += 1
            table[longer] = known
            known += 1
        if clear_every and written % clear_every == 0:
            emit(256)
            pad()
            table, width, known = {bytes([value]): value for value in range(256)}, 9, 257
        word = bytes([value])
    if word:
        emit(table[word])
    flush()
    return bytes(out)


TEXTS = {
    "nothing": b"",
    "one byte": b"a",
    "runs": b"a" * 5000,
    "words": b"to be or not to be " * 800,
    "noise": np.random.default_rng(0).integers(0, 256, 90_000).astype(np.uint8).tobytes(),
    "digits": ", ".join(f"{value:.4f}" for value in np.random.default_rng(1).normal(size=20_000)).encode(),
}


class TestLzw:
    """The format .Z."""

    @pytest.mark.parametrize("name", TEXTS)
    @pytest.mark.parametrize(("most", "clear_every"), [(16, 0), (16, 700), (12, 0), (9, 0)])
    def test_round_trip(self, name: str, most: int, clear_every: int) -> None:
        """What was packed comes back, over every width of codes, a full table and a table that was forgotten."""
        assert lzw.decompress(pack(TEXTS[name], most, clear_every)) == TEXTS[name]

    @pytest.mark.skipif(shutil.which("gzip") is None, reason="the comparison needs the program gzip, which reads .Z files")
    @pytest.mark.parametrize("name", list(TEXTS)[1:])
    @pytest.mark.parametrize("clear_every", [0, 700])
    def test_as_gzip_reads_it(self, name: str, clear_every: int, tmp_path: Path) -> None:
        """The program gzip reads the same from the same file."""
        path = tmp_path / "text.Z"
        path.write_bytes(pack(TEXTS[name], 16, clear_every))
        done = subprocess.run(["gzip", "-dc", str(path)], capture_output=True, check=True)
        assert done.stdout == lzw.decompress(path.read_bytes())

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (b"", "three bytes are absent"),
            (b"\x1f\x9d", "no .Z file"),
            (b"\x1f\x8b\x08" + b"a" * 9, "no .Z file"),
            (b"\x1f\x9d\x88" + b"a" * 9, "no .Z file"),
            (b"\x1f\x9d\x90" + b"\xff" * 9, "code 511 where 257 are known"),
        ],
    )
    def test_wrong(self, data: bytes, message: str) -> None:
        """Other formats and codes that no encoder writes are refused."""
        with pytest.raises(ValueError, match=message):
            lzw.decompress(data)


class TestReuters:
    """The files of RCV1-v2."""

    def files(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[int, str]:
        """Forty stories: every eighth has two root topics, every tenth none; returns the classes of the rest."""
        folder = folder / "RCV1"
        folder.mkdir(exist_ok=True)
        roots = ["CCAT", "ECAT", "GCAT", "MCAT"]
        kinds = {story: roots[story % 4] for story in range(2000, 2040)}
        lines = [f"{root} {story} 1" for story, root in kinds.items() if story % 10]
        lines += [f"GCAT {story} 1" for story in kinds if story % 8 == 0 and story % 10] + [f"C15 {story} 1" for story in kinds]
        (folder / "rcv1v2.topics.qrels.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
        draw = np.random.default_rng(0)
        for number, path in enumerate(list(reuters_10k.card.files)[1:]):
            body = ""
            for story in [story for story in kinds if story % 5 == number]:
                stems = np.sort(draw.choice(np.arange(1, 30), 8, replace=False))
                body += f"{story} " + " ".join(f" {stem}:{draw.random():.6f}" for stem in stems) + "\n"
            (folder.parent / path).write_bytes(gzip.compress(body.encode()))
        card = dataclasses.replace(reuters_10k.card, files=dict.fromkeys(reuters_10k.card.files, ""), n=20, shape=[10])
        monkeypatch.setattr(reuters_10k, "card", card)
        return {story: root for story, root in kinds.items() if story % 10 and story % 8}

    def test_right(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only stories with one root topic are drawn, in the order of their numbers; a row's mean square is 1."""
        wanted = self.files(tmp_path, monkeypatch)
        raw = load("reuters-10k", tmp_path)
        assert raw.inputs.shape == (20, 10)
        found = reuters_10k.read_topics(tmp_path / "RCV1" / "rcv1v2.topics.qrels.gz")
        assert {story: reuters_10k.card.class_names[label] for story, label in found.items()} == wanted
        chosen = reuters_10k.draw(found, 20)
        assert list(chosen) == sorted(chosen)
        assert list(chosen) != list(found)[:20]
        assert raw.labels.tolist() == list(chosen.values())
        some = raw.inputs[(raw.inputs != 0).any(axis=1)]
        assert np.allclose(np.square(some).mean(axis=1), 1, atol=1e-3)
        assert raw.inputs.tobytes() == load("reuters-10k", tmp_path).inputs.tobytes()

    def test_stems(self) -> None:
        """The stems in most stories are kept, of equally many the lower number; a story with none of them is a row of zeros."""
        x = reuters_10k.vectors([[(9, 0.3), (2, 0.4)], [(9, 1.0)], [(5, 1.0)], [(7, 1.0)]], 2)
        assert x[1].tolist() == [0, 1.4140625]
        assert x[3].tolist() == [0, 0]
        assert x[0, 0] / x[0, 1] == pytest.approx(4 / 3, abs=2e-3)

    def test_missing_story(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A story without a vector is named."""
        self.files(tmp_path, monkeypatch)
        (tmp_path / list(reuters_10k.card.files)[1]).write_bytes(gzip.compress(b""))
        with pytest.raises(MissingData, match="stories that have no vector, 20"):
            load("reuters-10k", tmp_path)

    @pytest.mark.parametrize("body", [b"CCAT 2001\n", b"CCAT x 1\n", b"\xff\xfe", b"CCAT 1 1\nECAT 2 1\n"])
    def test_wrong_topics(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
        """Lines of another form, and too few stories, are damage."""
        self.files(tmp_path, monkeypatch)
        (tmp_path / "RCV1" / "rcv1v2.topics.qrels.gz").write_bytes(gzip.compress(body))
        with pytest.raises(MissingData, match=r"qrels\.gz is damaged"):
            load("reuters-10k", tmp_path)

    @pytest.mark.parametrize(
        "body", [gzip.compress(b"2001 1:0.5\n", mtime=0)[:-9], gzip.compress(b"2001 1:x\n", mtime=0), b"2001 1:0.5\n"]
    )
    def test_wrong_vectors(self, tmp_path: Path, body: bytes) -> None:
        """A file that is cut off, that has words where weights belong, or that isn't packed raises what a loader reports."""
        (tmp_path / "a.gz").write_bytes(body)
        source = Source(tmp_path, tmp_path / "cache", name="reuters-10k")
        with pytest.raises(MissingData, match=r"a\.gz is damaged"), source.reading(tmp_path / "a.gz"):
            reuters_10k.read_vectors(tmp_path / "a.gz", {2001: 0})


class TestMnistNd:
    """The script that trains the latents of MNIST."""

    x = torch.rand(300, 20, generator=torch.Generator().manual_seed(0)).round()

    def test_loss(self) -> None:
        """With a posterior that has no noise, the loss is the paper's: reconstruction and beta times log q − log p."""
        torch.manual_seed(0)
        model = mnist_nd.MixtureVAE(20, 3).double()
        with torch.no_grad():
            model.means.mul_(2)
            model.log_variances.uniform_(-1, 1)
        x = self.x[:5].double()
        mean, log_variance = (value.detach().numpy() for value in model.encode(x))
        noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(4)).numpy()
        z = mean + np.exp(log_variance / 2) * noise
        q = norm(mean, np.exp(log_variance / 2)).logpdf(z).sum(axis=1)
        centres, scales = model.means.detach().numpy(), np.exp(model.log_variances.detach().numpy() / 2)
        p = np.log(np.mean([norm(m, s).pdf(z).prod(axis=1) for m, s in zip(centres, scales, strict=True)], axis=0))
        guess = torch.sigmoid(model.decoder(torch.from_numpy(z))).detach().numpy()
        lost = -np.log(np.where(x.numpy() == 1, guess, 1 - guess)).sum(axis=1)
        found = model.loss(x, 0.3, torch.Generator().manual_seed(4))
        assert found.item() == pytest.approx((lost + 0.3 * (q - p)).mean(), rel=1e-6)

    def test_repeats(self, tmp_path: Path) -> None:
        """A seed gives the same latents, another seed others; the loader reads what is written."""
        first, again, other = (mnist_nd.train(self.x, 2, 2, seed) for seed in (0, 0, 1))
        assert first.shape == (300, 2)
        assert first.tobytes() == again.tobytes() != other.tobytes()
        labels, split = np.arange(300) % 10, np.repeat([0, 1], [200, 100])
        mnist_nd.write(tmp_path / "mnist-2d.npz", inputs=first, labels=labels, split=split)
        raw = load("mnist-2d", tmp_path)
        assert raw.inputs.tobytes() == first.tobytes()
        assert raw.labels.tolist() == labels.tolist()

    def test_card_for_each(self) -> None:
        """One file gives a set for each number of dimensions."""
        assert [f"mnist-{d}d" for d in mnist_nd.DIMENSIONS] == list(datasets.get("mnist-2d").cards)
        assert [datasets.card(f"mnist-{d}d").shape for d in mnist_nd.DIMENSIONS] == [[d] for d in mnist_nd.DIMENSIONS]
