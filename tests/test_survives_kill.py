"""A run that is killed, or stopped by Ctrl-C, loses nothing that was finished, leaves nothing, and goes on."""

from __future__ import annotations

import itertools
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
    draw, places = random.Random(4), (kill_at_random.Place(tmp_path / str(number)) for number in itertools.count())
    place, disturbed = next(places), 0
    for number in [signal.SIGKILL, signal.SIGINT, *[signal.SIGKILL] * 4]:
        while not kill_at_random.disturb(place, draw, reference, number):  # it had come to its end before
            kill_at_random.same(place.finish(), reference.records)
            place = next(places)
        disturbed += 1
    assert disturbed == 6
    kill_at_random.same(place.finish(), reference.records)


def test_differing_records_would_be_found() -> None:
    """The comparison with the undisturbed run sees a missing record and a changed score, and overlooks cost and date."""
    wanted = {"a": {"scores": {"acc": 0.5}, "cost": 1, "date": "x"}}
    kill_at_random.same({"a": {"scores": {"acc": 0.5}, "cost": 2, "date": "y"}}, wanted)
    for records in ({}, {"a": {"scores": {"acc": 0.6}}}):
        with pytest.raises(kill_at_random.Broken):
            kill_at_random.same(records, wanted)


def test_what_happens_to_files_would_be_found(tmp_path: Path) -> None:
    """A record that is gone, or was written a second time, is found, and each is counted as what it is."""
    path = tmp_path / "results" / "records" / "a.json"
    path.parent.mkdir(parents=True)
    (tmp_path / "cache" / "outputs" / "f").mkdir(parents=True)
    path.write_text('{"fit_fingerprint": "f"}')
    place = kill_at_random.Place(tmp_path)
    place.check()
    path.write_text('{"fit_fingerprint": "f"}')
    with pytest.raises(kill_at_random.Broken, match="written again") as doubled:
        place.check()
    path.unlink()
    with pytest.raises(kill_at_random.Broken, match="gone") as lost:
        place.check()
    path.write_text('{"fit_')
    with pytest.raises(kill_at_random.Broken, match="not whole") as torn:
        place.check()
    assert [error.value.kind for error in (doubled, lost, torn)] == ["doubled", "lost", "torn"]
