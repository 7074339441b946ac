"""Features of a model as a file: right rows, right preparation, and nothing fetched unasked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import datasets
from benchmark import embed as module
from benchmark.embed import embed
from benchmark.ground.errors import UserError
from datasets import outside
from datasets.prepare import read
from datasets.source import Source


@pytest.fixture
def means(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of a network: the mean of each channel of its input, 8×8 large, normalised by mean 0.5 and deviation 0.5."""
    model: Any = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    half = torch.full((3,), 0.5)
    monkeypatch.setattr(module, "_timm", lambda *_: (model, (8, 8), half, half))


def test_rows_and_preparation(means: None, tmp_path: Path) -> None:
    """Every image of the set in its canonical order, grey as three channels, scaled to 0..1 and normalised."""
    out = tmp_path / "f.npz"
    assert embed("timm:means", "digits", out, cache=tmp_path, batch=100) == (1797, 3)
    raw = read("digits", Source(None, tmp_path))
    expected = (raw.inputs.reshape(1797, -1).mean(axis=1) / 255 - 0.5) / 0.5
    with np.load(out, allow_pickle=False) as file:
        assert np.allclose(file["inputs"], expected[:, None], atol=1e-5)
        assert np.array_equal(file["labels"], raw.labels)
        assert "split" not in file
    name, card, _ = outside.read(f"features:{out}")
    assert card.pretrained == "timm:means (pretrained)"
    assert card.class_names == list(datasets.card("digits").class_names)
    assert name.startswith("features-f-")


def test_refused(tmp_path: Path) -> None:
    """Vectors, other endings and other kinds of backbones are refused before anything is computed."""
    with pytest.raises(UserError, match="blobs holds vectors"):
        embed("timm:x", "blobs", tmp_path / "f.npz", cache=tmp_path)
    with pytest.raises(UserError, match=r"must end in \.npz"):
        embed("timm:x", "digits", tmp_path / "f.pt", cache=tmp_path)
    with pytest.raises(UserError, match="is not timm:NAME"):
        embed("hub:x", "digits", tmp_path / "f.npz", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_timm(tmp_path: Path) -> None:
    """A model of timm without trained weights gives the same features twice; unknown names and absent weights are one line."""
    pytest.importorskip("timm", reason="the extra `features` is not installed")
    for out in ("a.npz", "b.npz"):
        n, d = embed("timm:test_resnet", "digits@40", tmp_path / out, cache=tmp_path, weights="random")
        assert (n, d) == (40, 96)
    with np.load(tmp_path / "a.npz") as one, np.load(tmp_path / "b.npz") as two:
        assert np.array_equal(one["inputs"], two["inputs"])
        assert np.isfinite(one["inputs"]).all()
    with pytest.raises(UserError, match="no model 'timm:nothing_such'"):
        embed("timm:nothing_such", "digits", tmp_path / "c.npz", cache=tmp_path, weights="random")
    with pytest.raises(UserError, match=r"allowed are 'pretrained', 'random' and the path of a \.safetensors file"):
        embed("timm:test_resnet", "digits", tmp_path / "c.npz", cache=tmp_path, weights="weights.pt")
    with pytest.raises(UserError, match="are fetched with --download"):
        embed("timm:test_resnet", "digits", tmp_path / "c.npz", cache=tmp_path)


def test_safetensors(tmp_path: Path) -> None:
    """Weights come from a file of the user's own; one that lacks some of them is refused."""
    timm = pytest.importorskip("timm", reason="the extra `features` is not installed")
    from safetensors.torch import save_file

    torch.manual_seed(3)
    weights = timm.create_model("test_resnet", num_classes=0).state_dict()
    save_file(weights, str(tmp_path / "w.safetensors"))
    embed("timm:test_resnet", "digits@40", tmp_path / "a.npz", cache=tmp_path, weights=str(tmp_path / "w.safetensors"))
    embed("timm:test_resnet", "digits@40", tmp_path / "b.npz", cache=tmp_path, weights="random")
    with np.load(tmp_path / "a.npz") as one, np.load(tmp_path / "b.npz") as two:
        assert not np.allclose(one["inputs"], two["inputs"])
        assert str(one["backbone"]) == "timm:test_resnet (w.safetensors)"
    del weights[next(iter(weights))]
    save_file(weights, str(tmp_path / "w.safetensors"))
    with pytest.raises(UserError, match="lacks 1 of test_resnet's weights"):
        embed("timm:test_resnet", "digits@40", tmp_path / "c.npz", cache=tmp_path, weights=str(tmp_path / "w.safetensors"))
