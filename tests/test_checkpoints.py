"""A killed fit goes on from its checkpoint, to the bytes of an undisturbed one."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.store import CHECKPOINT_DAYS, Cache
from methods.checkpoint import Checkpoint
from methods.run import Run

Labs = Callable[..., AbstractContextManager[Any]]


def test_a_tree_comes_back(tmp_path: Path) -> None:
    """Tensors of every type, arrays, nested containers with keys of any kind, numbers and texts, all as they were."""
    tree = {
        "tensors": [torch.arange(6).view(2, 3), torch.randn(3), torch.randn(2).bfloat16(), torch.tensor(True)],
        "array": np.eye(2),
        "keys": {0: {"exp": torch.zeros(())}, "a": (1, [2.5, None, "é"])},
    }
    place = Checkpoint(tmp_path / "deep" / "state.npz")
    place.save(tree)
    back = place.load()
    assert back is not None
    assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(tree["tensors"], back["tensors"], strict=True))
    assert np.array_equal(back["array"], np.eye(2))
    assert back["keys"]["a"] == (1, [2.5, None, "é"])
    assert torch.equal(back["keys"][0]["exp"], torch.zeros(()))
    with pytest.raises(TypeError, match=r"a checkpoint can't hold .*Path"):
        place.save({"path": tmp_path})
    assert place.load() is not None


@pytest.mark.parametrize("damage", ["gone", "cut off", "a pickle", "text"])
def test_a_damaged_checkpoint_is_none(tmp_path: Path, damage: str) -> None:
    """Whatever is no whole checkpoint is not gone on from; nothing is unpickled."""
    place = Checkpoint(tmp_path / "state.npz")
    place.save({"epoch": 3, "x": torch.zeros(100)})
    if damage == "gone":
        place.path.unlink()
    elif damage == "cut off":
        place.path.write_bytes(place.path.read_bytes()[:-60])
    elif damage == "text":
        place.path.write_text("no checkpoint")
    else:
        with place.path.open("wb") as stream:
            np.savez(stream, tree=np.array([{}], object))
    assert place.load() is None


def loop(run: Run, stop: int | None = None) -> tuple[list[int], torch.Tensor]:
    """Epochs gone through and the weights after them; stops, as if killed, when epoch `stop` begins."""
    torch.manual_seed(1)
    layer = torch.nn.Linear(3, 3)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    seen = []
    for epoch in run.epochs(20, keep={"layer": layer, "optimizer": optimizer}):
        if epoch == stop:
            return seen, layer.weight
        seen.append(epoch)
        loss = layer(torch.randn(5, 3, generator=run.generator) + torch.rand(3)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.log(loss=loss)
    return seen, layer.weight


def test_the_loop_goes_on(tmp_path: Path) -> None:
    """The epochs done are not done again; weights, curve and snapshots are those of an undisturbed run."""
    whole = Run(seed=5, on_snapshot=lambda: np.arange(3))
    _, weight = loop(whole)
    first = Run(seed=5, on_snapshot=lambda: np.arange(3), checkpoint=Checkpoint(tmp_path / "s.npz", every=0))
    assert loop(first, stop=13)[0] == list(range(13))
    second = Run(seed=5, on_snapshot=lambda: np.arange(3), checkpoint=Checkpoint(tmp_path / "s.npz", every=0))
    seen, again = loop(second)
    assert seen == list(range(13, 20))
    assert torch.equal(weight, again)
    assert second.curve == whole.curve
    assert len(second.snapshots) == len(whole.snapshots) == 9
    assert second.spent()[0] > 0


def test_time_before_the_kill_counts(tmp_path: Path) -> None:
    """The seconds spent before the kill are in the cost, those of snapshots and checkpoints are not."""
    first = Run(seed=0, checkpoint=Checkpoint(tmp_path / "s.npz", every=0))
    for epoch in first.epochs(3, keep={}):
        if epoch == 2:
            break
        time.sleep(0.1)
    second = Run(seed=0, on_snapshot=lambda: time.sleep(0.2), checkpoint=Checkpoint(tmp_path / "s.npz", every=0))
    assert list(second.epochs(3, keep={})) == [2]
    second.snapshot()
    assert 0.2 <= second.spent()[0] < 0.35


def test_none_is_written_before_its_time(tmp_path: Path) -> None:
    """Short fits write no checkpoint."""
    loop(Run(seed=5, checkpoint=Checkpoint(tmp_path / "s.npz", every=60)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.xdist_group("lab")
def test_a_killed_cell_goes_on(open_lab: Labs, tmp_path: Path) -> None:
    """SIGKILL in the middle of a cell; the next run goes on, and every output byte is that of a cell that was left alone."""
    with open_lab(tmp_path, checkpoint_seconds=0.0) as lab:
        killed = lab.run("dies_once")
        assert killed["state"] in ("failed", "out_of_memory")
        places = list(lab.bench.cache.checkpoints.glob("*/state.npz"))
        assert len(places) == 1
        assert lab.run("dies_once")["state"] == "ok"
        assert lab.run("dies_once", dies=False)["state"] == "ok"
        disturbed, quiet = (lab.arrays(lab.cell("dies_once", **changes)) for changes in ({}, {"dies": False}))
        assert disturbed == quiet
        assert set(disturbed) >= {"embedding.npy", "snapshots.npy"}
        records = [lab.bench.settings.results.read(lab.cell("dies_once", **c).key) for c in ({}, {"dies": False})]
        assert records[0]["curve"] == records[1]["curve"]
        assert records[0]["snapshot_scores"] == records[1]["snapshot_scores"]
        assert list(lab.bench.cache.checkpoints.glob("*")) == []


@pytest.mark.xdist_group("lab")
def test_anew_means_anew(open_lab: Labs, tmp_path: Path) -> None:
    """A cell that is to be trained anew does not go on from a checkpoint: here it dies again."""
    with open_lab(tmp_path, checkpoint_seconds=0.0) as lab:
        lab.run("dies_once")
        lab.bench.settings = dataclasses.replace(lab.bench.settings, fresh=True)
        assert lab.run("dies_once")["state"] in ("failed", "out_of_memory")


def test_old_ones_go(tmp_path: Path) -> None:
    """Checkpoints that nobody went on from for a month are removed."""
    cache = Cache(tmp_path)
    for name in ("old", "new"):
        Checkpoint(cache.checkpoints / name / "state.npz").save({})
    past = time.time() - (CHECKPOINT_DAYS + 1) * 86400
    os.utime(cache.checkpoints / "old", (past, past))
    cache.tidy()
    assert [path.name for path in cache.checkpoints.iterdir()] == ["new"]
