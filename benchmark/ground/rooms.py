"""A room is a folder in which one file is one entry; its name is the file's name.

Cards are read as literals from the source, so that listing a room imports nothing heavy.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmark.ground.errors import Unavailable, UserError, unknown

NOT_ENTRIES = {"__init__", "base", "card", "registry", "run", "checkpoint", "evidence", "parts"}
NOT_ENTRIES |= {"inputs", "labels", "prepare", "source", "derived", "outside"}  # of datasets/


@dataclass(frozen=True)
class Entry:
    """One entry of a room, known from its file alone."""

    name: str
    family: str
    path: Path
    module: str
    card: Any

    @property
    def unavailable(self) -> str | None:
        """Why this entry cannot run here, or None where it can."""
        missing = [package for package in self.card.requires if importlib.util.find_spec(package) is None]
        if not missing:
            return None
        return f"needs the package{'s' * (len(missing) > 1)} {', '.join(missing)}; install: uv pip install {' '.join(missing)}"


class Room:
    """Finds the entries of one folder.

    package: dotted name of the folder, importable. card: the type a file's `card` literal is read as.
    name: how a file's stem becomes the entry's name. noun: what an entry is called in messages.
    """

    def __init__(self, package: str, folder: Path, card: type, noun: str, name: Callable[[str], str] = str) -> None:
        self.package, self.folder, self.card_type, self.noun, self._name = package, folder, card, noun, name
        self._plugins: dict[str, Entry] = {}

    @cached_property
    def _found(self) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        files = [*self.folder.glob("*.py"), *self.folder.glob("*/*.py")]
        for path in sorted(files):
            inner = path.relative_to(self.folder)
            if path.stem in NOT_ENTRIES or inner.parts[0] in NOT_ENTRIES or path.name.startswith("_"):
                continue
            family = inner.parts[0] if len(inner.parts) > 1 else ""
            module = ".".join([self.package, *inner.with_suffix("").parts])
            for entry in self._read(path, family, module):
                if entry.name in found:
                    raise UserError(f"two files define the {self.noun} {entry.name!r}: {found[entry.name].path} and {path}")
                found[entry.name] = entry
        return found

    def refresh(self) -> None:
        """Forgets the files found; they are read again when next asked for. Plug-ins stay."""
        self.__dict__.pop("_found", None)

    def _read(self, path: Path, family: str, module: str) -> list[Entry]:
        cards = read_cards(path, self.card_type)
        if not cards:
            raise UserError(f"{path} has no card; write `card = Card(...)` with literal values only")
        own = self._name(path.stem)
        return [Entry(name or own, family, path, module, card) for name, card in cards.items()]

    @property
    def entries(self) -> dict[str, Entry]:
        """Every entry by name, plug-ins among them, in the order of names."""
        return dict(sorted({**self._found, **self._plugins}.items()))

    def names(self) -> list[str]:
        """The names of all entries, sorted."""
        return list(self.entries)

    def entry(self, name: str) -> Entry:
        """The entry of that name; an unknown name raises UserError with the nearest ones."""
        try:
            return self.entries[name]
        except KeyError:
            raise unknown(self.noun, name, self.entries) from None

    def card(self, name: str) -> Any:
        """The entry's card, read without importing the entry."""
        return self.entry(name).card

    def add(self, path: Path) -> list[str]:
        """Takes in a file from outside as a plug-in; returns the names it brings."""
        path = Path(path).resolve()
        if not path.is_file() or path.suffix != ".py" or not path.stem.isidentifier():
            raise UserError(f"plug-in {str(path)!r} is not a Python file with an identifier for a name")
        entries = self._read(path, "plugin", f"_plugin_{self.package}_{path.stem}")
        for entry in entries:
            if entry.name in self._found:
                raise UserError(f"plug-in {path}: the {self.noun} {entry.name!r} exists already; rename the file")
            self._plugins[entry.name] = entry
        return [entry.name for entry in entries]

    def module(self, name: str) -> ModuleType:
        """Imports the entry's file; an absent optional package raises Unavailable."""
        entry = self.entry(name)
        if entry.unavailable:
            raise Unavailable(f"{self.noun} {name!r} is unavailable, because it {entry.unavailable}")
        return import_entry(entry.module, entry.path)


def import_entry(module: str, path: Path) -> ModuleType:
    """Imports a module of a room by name, or a plug-in from its file."""
    if module in sys.modules or not module.startswith("_plugin_"):
        return importlib.import_module(module)
    spec = importlib.util.spec_from_file_location(module, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} cannot be loaded as a Python module")
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[module] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def source_closure(start: Iterable[Path], package: str, folder: Path, *, outside: Collection[str]) -> list[Path]:
    """The files, and every file of the package that they import, directly or through another, sorted.

    outside: names in the folder that don't count, such as the base class.
    """
    seen: set[Path] = set()
    todo = list(start)
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        inner = [module.split(".")[1:] for module in _imported(path) if module.startswith(f"{package}.")]
        found = [folder.joinpath(*parts).with_suffix(".py") for parts in inner if parts[0] not in outside]
        todo += [file for file in found if file.is_file()]
    return sorted(seen)


def _imported(path: Path) -> list[str]:
    """Dotted names of what a file imports, by any of Python's spellings; some of them may be no modules."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules += [node.module, *[f"{node.module}.{alias.name}" for alias in node.names]]
        elif isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
    return modules


def read_cards(path: Path, card_type: type) -> dict[str, Any]:
    """The cards in a file: `{"": card}` for `card = Card(...)`, `{name: card, ...}` for `cards = {name: Card(...)}`.

    They may stand at the top of the file or in a class; values must be literals. Raises UserError where they are not.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid Python: {error}") from error
    bodies = [tree.body, *[node.body for node in tree.body if isinstance(node, ast.ClassDef)]]
    for body in bodies:
        for node in body:
            target = _assigned(node)
            if target == "card":
                return {"": _literal_card(node.value, path, card_type)}  # type: ignore[attr-defined]
            if target == "cards" and isinstance(node.value, ast.Dict):  # type: ignore[attr-defined]
                pairs = zip(node.value.keys, node.value.values, strict=True)  # type: ignore[attr-defined]
                return {ast.literal_eval(key): _literal_card(value, path, card_type) for key, value in pairs if key}
    return {}


def _assigned(node: ast.stmt) -> str | None:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        return node.target.id
    return None


def _literal_card(node: ast.expr, path: Path, card_type: type) -> Any:
    if not isinstance(node, ast.Call):
        raise UserError(f"{path}, line {node.lineno}: the card must be written Card(...)")
    try:
        values = {kw.arg: ast.literal_eval(kw.value) for kw in node.keywords if kw.arg}
        return card_type(**values)
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}, line {node.lineno}: the card must be Card(name=literal, ...): {error}") from error
