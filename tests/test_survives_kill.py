"""A run that is killed, or stopped by Ctrl-C, loses nothing that was finished, leaves nothing, and goes on."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import kill_at_random
import pytest

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> kill_at_random.Reference:
    """An undisturbed run."""
    return kill_at_random.undisturbed(tmp_path_factory.mktemp("undisturbed"))


def test_five_kills_and_a_ctrl_c_change_nothing(reference: kill_at_random.Reference, tmp_path: Path) -> None:
    """After five kills and a Ctrl-C at random moments the run ends with the undisturbed run's records, each written once."""
    assert len(reference.records) == 10
    assert all(record["state"] == "ok" for record in reference.records.values())
    place, draw = kill_at_random.Place(tmp_path / "killed"), random.Random(4)
    numbers = [signal.SIGKILL, signal.SIGINT, *[signal.SIGKILL] * 4]
    said = [kill_at_random.disturb(place, draw, reference, number) for number in numbers]
    assert said[0], said
    assert said[1], said
    kill_at_random.same(place.finish(), reference.records)


def test_differing_records_would_be_found() -> None:
    """The comparison with the undisturbed run sees a missing record and a changed score, and overlooks cost and date."""
    wanted = {"a": {"scores": {"acc": 0.5}, "cost": 1, "date": "x"}}
    kill_at_random.same({"a": {"scores": {"acc": 0.5}, "cost": 2, "date": "y"}}, wanted)
    for records in ({}, {"a": {"scores": {"acc": 0.6}}}):
        with pytest.raises(kill_at_random.Broken):
            kill_at_random.same(records, wanted)
