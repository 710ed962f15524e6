"""Notes which entries of a cache a piece of work uses, for whoever wants to know."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

_noted: ContextVar[set[Path] | None] = ContextVar("noted", default=None)


def note(path: Path) -> None:
    """The caller uses this entry."""
    noted = _noted.get()
    if noted is not None:
        noted.add(path)


@contextlib.contextmanager
def noting() -> Iterator[set[Path]]:
    """The entries that are used in the block, also by threads of :mod:`lab.util.together`."""
    found = set[Path]()
    before = _noted.set(found)
    try:
        yield found
    finally:
        _noted.reset(before)
