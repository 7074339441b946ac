"""The file that `new method NAME` writes: it passes the contract tests before anything is filled in."""

from __future__ import annotations

import keyword
from pathlib import Path

import methods
from benchmark.ground.errors import UserError
from benchmark.ground.files import write_text
from benchmark.ground.rooms import NOT_ENTRIES
from benchmark.store import ROOT

METHOD = '''"""{title}: what it does, in one line.

Authors, "Title", venue year. arXiv:0000.00000.
Idea: two or three sentences.
Deviates: nothing known.
"""

from dataclasses import dataclass

from methods.base import Card, Method
from methods.parts.batches import flat


@dataclass
class {cls}(Method):
    """Replace this by the method; here a random projection stands in."""

    card = Card(title="{title}", authors="Authors", year=2026, told={{"k"}})
    dim: int = 16  # every field is a hyper-parameter; say where its default comes from

    def fit(self, inputs, k, run):
        """inputs.train: images [n, c, h, w] uint8 or vectors [n, d] float32. Draws come from run.generator."""
        x = flat(inputs.train)
        self.mean = x.mean(0)
        self.axes = x.new_empty(x.shape[1], self.dim).normal_(generator=run.generator)

    def embed(self, x):
        """Embeddings [n, d] float32; with no `assign` of its own the method's clusters come from k-means on them."""
        return (flat(x) - self.mean) @ self.axes
'''


def write_method(name: str, family: str) -> Path:
    """Writes methods/<family>/<name>.py; UserError for a name that is taken or can't be one."""
    for what, text in (("method", name), ("family", family)):
        if not text.isidentifier() or not text.islower() or keyword.iskeyword(text) or text in NOT_ENTRIES:
            raise UserError(f"{what} {text!r} can't be a name; allowed: lower-case letters, digits and _, starting with a letter")
    if name in methods.names():
        raise UserError(f"there is a method {name!r} already, in {methods.entry(name).path}; choose another name")
    title = name.replace("_", " ").upper() if len(name) <= 5 else name.replace("_", " ").capitalize()
    path = ROOT / "methods" / family / f"{name}.py"
    if not (path.parent / "__init__.py").exists():
        write_text(path.parent / "__init__.py", f'"""{family.replace("_", " ").capitalize()} methods."""\n')
    write_text(path, METHOD.format(title=title, cls="".join(word.capitalize() for word in name.split("_"))))
    return path.relative_to(ROOT)
