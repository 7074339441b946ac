"""Rooms: one file is one entry, cards are read without importing anything."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import methods
from benchmark.ground.errors import Unavailable, UserError
from benchmark.ground.rooms import Room
from methods.base import Method
from methods.card import Card

CARD = 'card = Card(title="T", authors="A", year=2020)'


def room(folder: Path) -> Room:
    """A room of methods in a folder."""
    return Room("methods", folder, Card, "method")


def test_a_card_is_read_without_running_the_file(tmp_path: Path) -> None:
    """Listing a file whose import would fail works, and shows its card."""
    (tmp_path / "broken.py").write_text(f"raise RuntimeError\nclass M:\n    {CARD}\n")
    assert room(tmp_path).names() == ["broken"]
    assert room(tmp_path).card("broken").title == "T"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "has no card"),
        ("card = 3", "must be written Card"),
        ("card = Card(title=open('x'))", "literal"),
        ("card = Card(name='x')", "unexpected keyword"),
        ("card = Card(", "not valid Python"),
        ('card = Card(title="T", authors="A", year=2020, told={"everything"})', "told holds"),
        ('card = Card(title="T", authors="A", year=2020, settings={"digits": {}})', "settings key 'digits'"),
    ],
)
def test_a_wrong_card_names_its_file(tmp_path: Path, text: str, words: str) -> None:
    """A file without a readable card is one error that names the file."""
    (tmp_path / "wrong.py").write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        room(tmp_path).names()
    assert "wrong.py" in str(caught.value)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """The file's name is the name, so it must be the only one."""
    for family in ("a", "b"):
        (tmp_path / family).mkdir()
        (tmp_path / family / "same.py").write_text(CARD)
    with pytest.raises(UserError, match="two files define"):
        room(tmp_path).names()


def test_a_missing_package_makes_a_method_unavailable(tmp_path: Path) -> None:
    """An absent optional package is a reason on the entry, and an error only when the method is used."""
    path = tmp_path / "needs.py"
    path.write_text('card = Card(title="T", authors="A", year=2020, requires=["no_such_package_here"])')
    mine = room(tmp_path)
    wanted = "needs the package no_such_package_here; install: uv pip install no_such_package_here"
    assert mine.entry("needs").unavailable == wanted
    with pytest.raises(Unavailable, match="because it needs the package"):
        mine.module("needs")


@pytest.mark.parametrize("name", ["nothing.py", "not-a-name.py", "text.txt"])
def test_a_hostile_plug_in_is_refused(tmp_path: Path, name: str) -> None:
    """A plug-in must be a Python file whose stem is an identifier."""
    if name != "nothing.py":
        (tmp_path / name).write_text(CARD)
    with pytest.raises(UserError, match="plug-in"):
        room(tmp_path).add(tmp_path / name)


def test_a_plug_in_can_t_take_a_name(tmp_path: Path) -> None:
    """A plug-in never hides a method of the repository."""
    (tmp_path / "dec.py").write_text(CARD)
    with pytest.raises(UserError, match="exists already"):
        methods.plug_in(tmp_path / "dec.py")


def test_get_gives_the_class() -> None:
    """`methods.get` imports the file and finds its one Method."""
    assert issubclass(methods.get("chance"), Method)
    with pytest.raises(UserError, match="no method"):
        methods.get("chanse")


def test_listing_imports_nothing_heavy() -> None:
    """Names and cards of all rooms come without torch, torchvision, scikit-learn or scipy."""
    code = (
        "import sys, methods, datasets, metrics\n"
        "for room in (methods, datasets, metrics):\n"
        "    [room.card(name) for name in room.names()]\n"
        "heavy = {'torch', 'torchvision', 'sklearn', 'scipy', 'faiss', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(methods.__file__).parent.parent)
