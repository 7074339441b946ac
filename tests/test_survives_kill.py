"""A run that is killed, or stopped by Ctrl-C, loses nothing that was finished, leaves nothing, and goes on."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import Any

import kill_at_random
import pytest

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], float, float]:
    """An undisturbed run: its records, and how long it took to its first cell and from there to its end."""
    return kill_at_random.undisturbed(tmp_path_factory.mktemp("undisturbed"))


def test_five_kills_and_a_ctrl_c_change_nothing(reference: tuple[dict[str, Any], float, float], tmp_path: Path) -> None:
    """After five kills and a Ctrl-C at random moments the run ends with the undisturbed run's records, each written once."""
    wanted, start, work = reference
    assert len(wanted) == 10
    assert all(record["state"] == "ok" for record in wanted.values())
    place, draw = kill_at_random.Place(tmp_path / "killed"), random.Random(4)
    numbers = [signal.SIGKILL, signal.SIGINT, *[signal.SIGKILL] * 4]
    said = [kill_at_random.disturb(place, draw, start, work / 4, number) for number in numbers]
    print(said)
    assert said[0] is not None
    assert said[1] is not None
    kill_at_random.same(place.finish(), wanted)


def test_differing_records_would_be_found() -> None:
    """The comparison with the undisturbed run sees a missing record and a changed score, and overlooks cost and date."""
    wanted = {"a": {"scores": {"acc": 0.5}, "cost": 1, "date": "x"}}
    kill_at_random.same({"a": {"scores": {"acc": 0.5}, "cost": 2, "date": "y"}}, wanted)
    for records in ({}, {"a": {"scores": {"acc": 0.6}}}):
        with pytest.raises(kill_at_random.Broken):
            kill_at_random.same(records, wanted)
