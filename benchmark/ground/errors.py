"""Errors meant for the user's eyes: what was wrong, what is allowed, what to do next."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

# The system's refusals after which no other cell would fare better: a full disk, no access.
STOPPING = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)


class UserError(Exception):
    """A mistake or a lack outside the program; the command line shows its text and no traceback."""


class MissingData(UserError):
    """A dataset's files are absent, cut off or corrupt; its cells are recorded as `missing`."""


class Unavailable(UserError):
    """An entry exists but cannot run here, because an optional package is absent."""


def unknown(noun: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name nobody has: it suggests the nearest known ones."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(repr(n) for n in near)}?" if near else f"there are: {', '.join(known)}"
    return UserError(f"no {noun} {name!r}; {hint}")
