"""Fitted blind: labels play no part in any output, and a method that looks for them finds none and is noted."""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import datasets
import methods
from benchmark.ground.files import canonical_json, sha256_file
from benchmark.wall import Wall
from datasets.base import Inputs
from datasets.prepare import prepare
from methods.run import Run

FILE_WAYS = (
    "open",
    "pathlib",
    "numpy",
    "descriptor",
    "folder_descriptor",
    "listing",
    "symbolic_link",
    "hard_link",
    "copy",
    "working_folder",
)
COMMAND_WAYS = ("cat", "shell", "shell_in_folder", "python", "spawn")
LABELLESS = ("reads_arguments", "reads_memory", "reads_open_files")
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("lab")]  # one bench serves them all


@pytest.fixture(scope="module")
def truth(lab: Any) -> np.ndarray:
    """The labels of blobs in prepared order: [600] int64."""
    return np.load(lab.bench.prepared("blobs").labels / "y.npy")


def label_folders(lab: Any) -> dict[str, str]:
    """Folders with the true labels of blobs in a `y.npy`: under the label root, and under the user's data folder."""
    return {"labels": str(lab.bench.prepared("blobs").labels), "data": str(lab.folder / "data" / "raw" / "blobs")}


def blobs(lab: Any) -> Inputs:
    """The inputs that a method gets."""
    return Inputs("vector", torch.from_numpy(np.load(lab.bench.prepared("blobs").inputs / "x.npy")))


def searched(lab: Any, name: str, inputs: Inputs | None = None, run: Run | None = None, **config: Any) -> Any:
    """What a hostile method finds in this process, which has no wall."""
    return methods.get(name)(**config).search(inputs or blobs(lab), run or Run(seed=0))


def assert_blind(record: dict[str, Any]) -> None:
    """The cell was scored, and its score is chance's."""
    assert record["state"] == "ok", record["reason"]
    assert record["scores"]["acc"] <= record["scores"]["acc_chance"] + 0.05


@pytest.mark.parametrize(("method", "dataset"), [("dec", "blobs"), ("pixels_kmeans", "digits")])
def test_permuted_labels_leave_every_output_byte_as_it_is(method: str, dataset: str, lab: Any, permuted_lab: Any) -> None:
    """With permuted labels a method's outputs, and its parts', are byte for byte the same, while its scores change."""
    records = [one.run(method, dataset) for one in (lab, permuted_lab)]
    for cell in lab.cells(method, dataset):
        arrays = lab.arrays(cell)
        assert {"assign.npy", "embedding.npy", "snapshots.npy"} <= set(arrays)
        assert arrays == permuted_lab.arrays(cell)
    assert {"soft.npy"} <= set(arrays) or method != "dec"
    for name in ("acc", "nmi", "ari", "knn"):
        assert records[0]["scores"][name] > records[1]["scores"][name] + 0.02
    assert records[0]["contingency"] != records[1]["contingency"]


@pytest.fixture(scope="module")
def permuted_lab(open_lab: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A lab in whose cache the labels of blobs and digits were permuted before it was opened."""
    folder = tmp_path_factory.mktemp("permuted")
    for name in ("blobs", "digits"):
        known = prepare(name, cache=folder / "cache")
        path, index = known.labels / "y.npy", folder / "cache" / "labels" / "index" / f"{name}.json"
        np.save(path, np.random.default_rng(5).permutation(np.load(path)), allow_pickle=False)
        content = json.loads(index.read_text(encoding="utf-8"))
        content["files"][f"labels/{known.labels_address}/y.npy"] = sha256_file(path)
        index.write_text(canonical_json(content), encoding="utf-8")
        assert prepare(name, cache=folder / "cache") == known
    changed = path.stat().st_mtime_ns
    with open_lab(folder) as lab:
        yield lab
    assert path.stat().st_mtime_ns == changed


@pytest.mark.parametrize("place", ["labels", "data"])
@pytest.mark.parametrize("way", FILE_WAYS)
def test_no_way_of_opening_a_label_file_works(way: str, place: str, lab: Any, truth: np.ndarray, monkeypatch: Any) -> None:
    """A method that knows where labels lie can't open them, and its record says that it tried."""
    folder = label_folders(lab)[place]
    monkeypatch.chdir(lab.folder)  # one way changes it
    assert np.array_equal(searched(lab, "reads_files", folder=folder, way=way), truth)
    record = lab.run("reads_files", folder=folder, way=way)
    assert_blind(record)
    assert record["attempts"]
    assert str(lab.folder) not in json.dumps(record["attempts"])


@pytest.mark.parametrize("way", COMMAND_WAYS)
def test_no_command_reads_a_label_file(way: str, lab: Any, truth: np.ndarray) -> None:
    """A method can't start a command that names a label file or works in its folder, and its record says that it tried."""
    folder = label_folders(lab)["labels"]
    assert np.array_equal(searched(lab, "runs_commands", folder=folder, way=way), truth)
    record = lab.run("runs_commands", folder=folder, way=way)
    assert_blind(record)
    assert any("naming <labels>" in attempt for attempt in record["attempts"])


def test_a_package_s_copy_of_the_labels_is_behind_the_wall(lab: Any) -> None:
    """`sklearn.datasets.load_digits()` fails inside a method, and its record says that it was called."""
    prepared = lab.bench.prepared("digits")
    images = Inputs("image", torch.from_numpy(np.load(prepared.inputs / "x.npy")))
    assert np.mean(searched(lab, "asks_sklearn", images) == np.load(prepared.labels / "y.npy")) == 1
    record = lab.run("asks_sklearn", "digits")
    assert_blind(record)
    assert any("open of <data>" in attempt for attempt in record["attempts"])


def test_loaders_of_generated_data_are_behind_the_wall(lab: Any, truth: np.ndarray) -> None:
    """A method can't import the loader that draws a dataset with its labels, and its record says that it tried."""
    assert np.mean(searched(lab, "asks_loader") == truth) == 1
    record = lab.run("asks_loader")
    assert_blind(record)
    assert any("blobs.py" in attempt for attempt in record["attempts"])


def test_another_cell_s_labels_are_behind_the_wall(lab: Any, truth: np.ndarray) -> None:
    """A method can't read the outputs or the record of a cell that was told labels, and its record says that it tried."""
    told = lab.run("told_labels")
    assert told["told"] == ["k", "labels"]
    assert told["scores"]["acc"] > 0.75
    cell = lab.cell("told_labels")
    for path in (lab.bench.outputs(cell) / "assign.npy", lab.bench.settings.results.path(cell.key).with_suffix(".npz")):
        assert np.mean(searched(lab, "reads_outputs", path=str(path)) == truth) > 0.75
        record = lab.run("reads_outputs", path=str(path))
        assert_blind(record)
        assert any("open of" in attempt for attempt in record["attempts"])


@pytest.mark.parametrize("way", ["socket", "url"])
def test_the_network_is_behind_the_wall(way: str, lab: Any, truth: np.ndarray) -> None:
    """A method can't ask a server for labels, and its record says that it tried."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(truth.tobytes())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            assert np.array_equal(searched(lab, "uses_network", port=server.server_port, way=way), truth)
            record = lab.run("uses_network", port=server.server_port, way=way)
        finally:
            server.shutdown()
    assert_blind(record)
    assert any("the network" in attempt for attempt in record["attempts"])


@pytest.mark.parametrize("name", LABELLESS)
def test_no_label_is_in_a_method_s_process(name: str, lab: Any) -> None:
    """No argument, object, module, frame, open file or memory map of a method's process holds labels."""
    record = lab.run(name)
    assert_blind(record)
    assert record["attempts"] == []


def test_the_environment_names_no_data(lab: Any, truth: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of a method's environment tells of data; folders near those it names are searched in vain."""
    monkeypatch.delenv("BLINDBENCH_CACHE")
    monkeypatch.setenv("SOMEWHERE", str(lab.bench.cache.root))
    started = Path("/proc/self/environ")
    if started.exists() and "BLINDBENCH_" in started.read_text(errors="replace"):
        with pytest.raises(ValueError, match="found BLINDBENCH_"):  # the tests were started with a data folder or a cache
            searched(lab, "reads_environment")
    else:
        assert np.array_equal(searched(lab, "reads_environment"), truth)
    record = lab.run("reads_environment")
    assert_blind(record)


def test_the_searches_find_labels_that_are_there(lab: Any, tmp_path: Path) -> None:
    """The methods that found no label in their process do find one that is planted in it."""
    planted = np.random.default_rng(0).integers(0, 6, 613)
    inputs, run = Inputs("vector", torch.zeros(613, 8)), Run(seed=0)
    assert searched(lab, "reads_arguments", inputs, run) is None
    run.on_the_side = {"notes": [planted]}
    assert np.array_equal(searched(lab, "reads_arguments", inputs, run), planted)
    assert np.array_equal(searched(lab, "reads_memory", inputs, Run(seed=0)), planted)
    np.save(tmp_path / "y.npy", planted)
    descriptor = os.open(tmp_path / "y.npy", os.O_RDONLY)
    try:
        assert np.array_equal(searched(lab, "reads_open_files", inputs), planted)
    finally:
        os.close(descriptor)
    assert searched(lab, "reads_open_files", inputs) is None


def test_of_denied_and_allowed_places_the_innermost_decides(tmp_path: Path) -> None:
    """A place allowed below a denied one is open, and one denied below that is not; a name's beginning is no place."""
    wall = Wall([tmp_path / "a", tmp_path / "a/b/c"], [tmp_path / "a/b"])
    assert [wall.guards(tmp_path / inner) for inner in ("a", "a/x", "a/b/x", "a/b/c/x", "ab", "a/b/../x")] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]


def test_own_data_lie_behind_the_wall(lab: Any, tmp_path: Path) -> None:
    """The file or folder of a user's own set, which holds its labels, is refused to every child."""
    path = tmp_path / "mine.npz"
    np.savez(path, inputs=np.eye(4), labels=np.arange(4))
    datasets.join(f"npz:{path}")
    assert path in lab.bench._denied()
    assert Wall(lab.bench._denied(), []).guards(path)
    assert not Wall([lab.folder], []).guards(path)
