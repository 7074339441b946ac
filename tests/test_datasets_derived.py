"""Sets made from another by rule: their cards follow from the base's, and their rows are what the cards say."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

import datasets
from benchmark.ground.errors import MissingData, UserError
from benchmark.plan import Cell
from datasets import derived, inputs, labels
from datasets.prepare import check, prepare, read, repeats
from datasets.source import Source

DATA = os.environ.get("BLINDBENCH_DATA")
FREE = ["digits-lt10", "digits-lt100", "digits@500", "shapes@1000", "digits-lt50@200", "gaussians-90@600"]
FILED = ["mnist-lt50", "mnist@5000", "usps-lt10", "cifar10-lt100@3000"]


@pytest.mark.parametrize("name", FREE + FILED)
def test_arrays_as_the_card_says(name: str, tmp_path: Path) -> None:
    """Class counts of both parts, sizes and types are those of a card that was made without the data."""
    try:
        raw = read(name, Source(Path(DATA) if DATA else None, tmp_path, name=name))
    except MissingData:
        assert name in FILED
        pytest.skip("BLINDBENCH_DATA lacks it")
    card = datasets.card(name)
    check(name, raw, card)
    assert raw.labels is not None
    assert np.bincount(raw.labels, minlength=card.classes).tolist() == list(card.class_counts)
    assert repeats(raw) == (0, 0)


def test_long_tail() -> None:
    """From the smallest class down to its 1/ratio, geometrically; class 0 is the head."""
    card = datasets.card("digits-lt10")
    assert list(card.class_counts) == derived.long_tail(datasets.card("digits").class_counts, 10)
    assert card.class_counts[0] == min(datasets.card("digits").class_counts) == 174
    assert card.class_counts[-1] == 17
    assert derived.long_tail([5000] * 10, 100) == [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]


def test_long_tail_leaves_the_test_part_whole() -> None:
    """Of a set with an official split the train part alone is cut, so there is an inductive track and no other."""
    card, base = datasets.card("mnist-lt50"), datasets.card("mnist")
    assert list(card.test_counts) == list(base.test_counts)
    assert card.tracks == ("inductive",)
    cell = Cell("chance", "mnist-lt50", "transductive", "smoke", 0)
    assert "long-tailed in its train part alone" in str(cell.not_applicable)
    assert datasets.card("digits-lt10").tracks == ("transductive",)


def test_subsample_keeps_shares() -> None:
    """Each class and part keeps its share, to within one row."""
    card, base = datasets.card("mnist@5000"), datasets.card("mnist")
    assert (card.n, card.n_test) == (5000, 714)
    wanted = np.array(base.class_counts) * 5000 / base.n
    assert np.abs(np.array(card.class_counts) - wanted).max() < 2
    assert sum(derived.shares([7, 7, 7], 5)) == 5
    assert derived.shares([1, 1, 98], 50) == [1, 0, 49]


def test_smaller_lies_in_larger(tmp_path: Path) -> None:
    """The rows of a subsample are among those of a larger one."""
    source = Source(None, tmp_path)
    small, large = (read(name, source).inputs for name in ("digits@200", "digits@400"))
    assert {row.tobytes() for row in small} <= {row.tobytes() for row in large}


def test_rows_are_drawn_anew_from_nothing_else(tmp_path: Path) -> None:
    """The same name gives the same rows, and not simply the first ones."""
    source = Source(None, tmp_path)
    one, two = read("digits@300", source), read("digits@300", source)
    assert np.array_equal(one.inputs, two.inputs)
    assert not np.array_equal(one.inputs, read("digits", source).inputs[:300])


def test_content_is_in_the_fingerprint() -> None:
    """Base and rule make the identity: another rule, or another base, is another set."""
    names = ["digits", "digits-lt10", "digits-lt50", "digits@500", "digits@501", "shapes@500", "digits-lt10@100"]
    assert len({datasets.card(name).inputs_id for name in names}) == len(names)
    assert len({Cell("chance", name, "transductive", "smoke", 0).fit_fingerprint for name in names}) == len(names)
    assert datasets.root("digits-lt10@100") == "digits"
    assert datasets.card("digits-lt10").development


def test_prepared_behind_the_two_doors(tmp_path: Path) -> None:
    """A derived set is prepared as any other."""
    ready = prepare("digits-lt10", cache=tmp_path)
    found = labels.load(ready.labels)
    assert found is not None
    assert len(inputs.load(ready.inputs, track="transductive").all) == len(found) == datasets.card("digits-lt10").n


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("digits-lt7", "long tails come as -lt10, -lt50, -lt100"),
        ("digits@5", "asks for 5 rows; 'digits' has 1,797, and 10 is the least"),
        ("digits@1797", "asks for 1797 rows"),
        ("digist@100", "no dataset 'digist'; did you mean 'digits'"),
        ("digits@0", "no dataset 'digits@0'"),
        ("mnist-lt10-lt50", "long-tailed already"),
        ("../digits@100", "no dataset '../digits'"),
    ],
)
def test_refused(name: str, says: str) -> None:
    """What can't be derived is one clear line."""
    with pytest.raises(UserError, match=says):
        datasets.card(name)


def test_counts_are_needed() -> None:
    """A base whose card does not say how many rows each class has can't be cut by class."""
    bare = dataclasses.replace(datasets.card("digits"), class_counts=())
    with pytest.raises(UserError, match="does not say how many rows each class has"):
        derived.card("bare@100", derived.Rule("bare", 0, 100), bare)


def test_missing_base(tmp_path: Path) -> None:
    """Without the base's files the derived set is missing too, in one line that says how to get it."""
    with pytest.raises(MissingData, match="data get mnist-lt50"):
        prepare("mnist-lt50", cache=tmp_path)
