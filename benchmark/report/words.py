"""Text as markdown and HTML show it: whatever a record or a card says, it stays text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote, urlsplit

_SPECIAL = re.compile(r"([\\`*\[\]{}~|$#!]|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z]))")
_SAFE_ADDRESS = "/:?#@!$&'*+,;=%~-._"


def escape(text: object) -> str:
    """The text, so that markdown shows it as it is, in a table too: no markup, no HTML, one line.

    >>> escape("a|b <script> `x` mnist_test")
    'a\\\\|b &lt;script&gt; \\\\`x\\\\` mnist_test'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", line)


def address(url: str | None) -> str | None:
    """A web address with everything quoted that could end a link; None for anything but http and https."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return None
    return quote(url or "", safe=_SAFE_ADDRESS) if parts.scheme in ("http", "https") and parts.netloc else None


def link(text: str, target: str | None) -> str:
    """Markdown's link of a text that is markdown already; the text alone where there is no target."""
    return f"[{text}]({target})" if target else text


def table(heads: Sequence[str], body: Iterable[Sequence[str]], words: int = 1) -> str:
    """A markdown table, its first columns words and the others numbers. Not padded, so that a new row changes one line.

    Cells are markdown already: see `escape`.
    """
    lines = [heads, [*["---"] * words, *["--:"] * (len(heads) - words)], *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def folded(title: str, text: str) -> str:
    """A part that GitHub shows folded."""
    return f"<details><summary>{title}</summary>\n\n{text.strip()}\n\n</details>\n"


def percent(value: float | None, std: float | None = None) -> str:
    """A fraction in percent to one digit, with its spread where there is one.

    >>> percent(0.8123, 0.01), percent(-0.0001), percent(None)
    ('81.2 ± 1.0', '0.0', '')
    """
    if value is None:
        return ""
    text = f"{100 * value:.1f}" + (f" ± {100 * std:.1f}" if std is not None else "")
    return text.removeprefix("-") if text.startswith("-0.0") and not text.startswith("-0.0 ") else text.replace("-0.0 ", "0.0 ")
