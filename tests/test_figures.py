"""Figures: small, the same each time, honest about licences, and refused where they are none."""

from __future__ import annotations

import base64
import gzip
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA

from benchmark.figures import FIGURES, MOST_BYTES, POINTS, decode, draw, encode, may_show, principal, quantised
from benchmark.plan import plan
from benchmark.store import Cache, Results
from benchmark.verify import verify

GOLDEN = Path(__file__).parent / "golden" / "schema1"


def drawn(**changes: Any) -> bytes:
    """Figures of 3,000 noisy colour images in 12 clusters: the hardest picture to keep small."""
    rng = np.random.default_rng(0)
    made = {
        "fit": "f" * 32,
        "inputs": rng.integers(0, 256, (3000, 3, 32, 32), dtype=np.uint8),
        "embedding": rng.normal(size=(3000, 40)).astype(np.float32),
        "assign": rng.integers(-1, 11, 3000),
        "truth": rng.integers(0, 10, 3000),
        "rows": np.arange(3000),
        "images": True,
    }
    return draw(**{**made, **changes})


def test_figures_are_small_and_the_same_each_time() -> None:
    """Noise in colour stays under 20 KB, keeps its sheet, and gives the same bytes twice."""
    content = drawn()
    facts = decode(content)
    assert content == drawn()
    assert len(content) <= MOST_BYTES
    assert facts["sheet"]
    assert {len(facts["map"][name]) for name in ("x", "y", "class", "cluster")} == {POINTS}


def test_examples_are_rows_of_their_cluster() -> None:
    """Each example image belongs to the cluster and the class it is shown for; noise is one of the clusters."""
    assign = np.random.default_rng(1).integers(-1, 5, 3000)
    truth = np.arange(3000) % 7
    examples = decode(drawn(assign=assign, truth=truth))["examples"]
    assert [one["cluster"] for one in examples] == [-1, 0, 1, 2, 3, 4]
    for one in examples:
        assert (assign[one["rows"]] == one["cluster"]).all()
        assert truth[one["rows"]].tolist() == one["classes"]


def test_the_sheet_shows_what_it_says() -> None:
    """With one grey level a cluster, the picture of each cluster is of its level."""
    from PIL import Image

    assign = np.arange(400) % 4
    inputs = np.repeat((assign * 80).astype(np.uint8), 64).reshape(400, 1, 8, 8)
    sheet = decode(drawn(inputs=inputs, embedding=None, assign=assign, truth=None, rows=np.arange(400)))["sheet"]
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet["webp"]))).convert("L"), float)
    assert image.shape == (4 * sheet["side"], sheet["columns"] * sheet["side"])
    for cluster in range(4):
        found = image[cluster * sheet["side"] : (cluster + 1) * sheet["side"]]
        assert abs(found.mean() - 80 * cluster) < 8


@pytest.mark.parametrize(
    ("licence", "shown"),
    [
        *[(licence, True) for licence in ("MIT", "CC BY-SA 3.0", "CC BY 4.0", "BSD-3-Clause", "CC0")],
        *[(licence, False) for licence in ("none stated", "CC BY-NC 4.0", "CC BY 4.0; not for sale", "the user's own", "")],
    ],
)
def test_licences(licence: str, shown: bool) -> None:
    """Pictures are shown where the licence is one that lets anybody pass them on, and in no other case."""
    assert may_show(licence) is shown
    assert bool(decode(drawn(images=may_show(licence)))["sheet"]) is shown


@pytest.mark.parametrize("shape", [(300, 5), (40, 90)])
def test_the_map_is_that_of_principal_components(shape: tuple[int, int]) -> None:
    """Places and explained variance are scikit-learn's, up to each axis' sign."""
    x = np.random.default_rng(2).normal(size=shape) * np.linspace(1, 3, shape[1])
    found, explained = principal(x)
    reference = PCA(2, svd_solver="full").fit(x)
    np.testing.assert_allclose(np.abs(found), np.abs(reference.transform(x)), atol=1e-8)
    np.testing.assert_allclose(explained, reference.explained_variance_ratio_)


@pytest.mark.parametrize("points", [np.zeros((5, 3)), np.ones((4, 1)), np.arange(6.0)[:, None], np.zeros((3, 0)), np.eye(1)])
def test_flat_data_have_a_map(points: np.ndarray) -> None:
    """Constant, one-dimensional and empty embeddings give finite places inside the frame."""
    places = quantised(principal(points)[0])
    assert places.shape == (len(points), 2)
    assert places.min() >= 0
    assert places.max() <= 255


def test_no_labels_no_classes() -> None:
    """Data without labels have a map and examples, and no classes."""
    facts = decode(drawn(truth=None))
    assert facts["map"]["class"] is None
    assert all(one["classes"] is None for one in facts["examples"])


def broken(edit: Any) -> bytes:
    """Figures changed by hand."""
    facts = decode(drawn())
    edit(facts)
    return encode(facts)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no gzip",
        gzip.compress(b"[]", mtime=0),
        gzip.compress(b'{"schema": 1}', mtime=0),
        gzip.compress(b"[" * 100_000, mtime=0),
        gzip.compress(b" " * (1 << 26) + b"{}", mtime=0),
        drawn()[:-200],
        broken(lambda facts: facts["map"].update(x=["<script>"] * POINTS)),
        broken(lambda facts: facts["map"].update(of="<script>")),
        broken(lambda facts: facts["map"]["y"].pop()),
        broken(lambda facts: facts["sheet"].update(webp='" onerror="alert(1)')),
        broken(lambda facts: facts["sheet"].update(webp=base64.b64encode(b"<svg onload=alert(1)>").decode())),
        broken(lambda facts: facts["examples"][0].update(rows=["<b>"])),
        broken(lambda facts: facts.update(fit_fingerprint=3)),
    ],
)
def test_what_is_no_figures_is_refused(content: bytes) -> None:
    """Whatever is cut off, too large or of the wrong kind is a ValueError, never another error and never figures."""
    with pytest.raises(ValueError):
        decode(content)


def test_a_run_writes_figures_of_seed_0_and_scoring_again_renews_them(lab: Any) -> None:
    """They lie beside the record of seed 0 alone, name its fit, change no score, and go with a record that fails."""
    for seed in (0, 1):
        cell = plan(
            method_names=["pixels_kmeans"], dataset_names=["blobs"], seeds=seed + 1, budget="quick", track="transductive"
        )[-1]
        lab.bench.run_cell(cell)
        place = lab.bench.settings.results.figures(cell.key)
        record = lab.bench.settings.results.read(cell.key)
        assert place.is_file() == (seed == 0)
        assert "figures" not in json.dumps(record)
        if seed == 0:
            before = place.read_bytes()
            assert decode(before)["fit_fingerprint"] == cell.fit_fingerprint
            place.unlink()
            lab.bench.rescore_cell(cell, record)
            assert place.read_bytes() == before
            assert lab.bench.settings.results.read(cell.key) == record
            lab.bench.settings.results.write(cell.key, {**record, "state": "failed"})
            assert not place.exists()


def test_verify_reads_figures(tmp_path: Path) -> None:
    """`verify` names figures that are broken, of another fit, too large, or without a record, and no others."""
    path = tmp_path / "records/blobs/dec/transductive-smoke-base-s0.json"
    path.parent.mkdir(parents=True)
    for suffix in (".json", ".npz"):
        shutil.copy(GOLDEN / f"ok{suffix}", path.with_suffix(suffix))
    results, fit = Results(tmp_path), json.loads(path.read_text(encoding="utf-8"))["fit_fingerprint"]
    place = results.figures("blobs/dec/transductive-smoke-base-s0")
    for content, said in [
        (drawn(fit=fit), ""),
        (drawn(), "of another fit"),
        (b"none", "can't be read"),
        (gzip.compress(gzip.decompress(drawn(fit=fit)), 0), "bytes"),
    ]:
        place.write_bytes(content)
        problems = "\n".join(map(str, verify(results, Cache(tmp_path / "none")).problems))
        assert (said in problems) if said else (problems == "")
    place.rename(place.with_name(f"x-s0.{FIGURES}"))
    assert "figures without a record" in str(verify(results, Cache(tmp_path / "none")).problems[0])


def test_a_record_signed_anew_keeps_its_figures(tmp_path: Path) -> None:
    """Where a record's fit fingerprint changes, that of its figures changes with it, and nothing else of them."""
    results, key = Results(tmp_path), "digits/dec/transductive-quick-base-s0"
    record: dict[str, Any] = {}
    results.write(key, {**record, "fit_fingerprint": "f" * 32}, np.zeros(3, np.int64), drawn())
    results.amend(key, {**record, "fit_fingerprint": "e" * 32})
    before, after = decode(drawn()), decode(results.figures(key).read_bytes())
    assert after.pop("fit_fingerprint") == "e" * 32
    assert before.pop("fit_fingerprint") == "f" * 32
    assert before == after
