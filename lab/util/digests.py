"""Remembers the digests of files, so that one process does not read the same bytes again and again.

A digest is valid as long as the kernel says that the file is the one that was read: the same inode,
size, and time of the last change (``st_ctime``, which no program can set). Nothing is kept beyond
the process, so every command reads what it uses at least once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeAlias

#: Files that changed less than this many nanoseconds ago are not remembered: they could change
#: again within the same tick of the kernel's clock, which would not show.
SETTLED = 2_000_000_000
#: The most digests that are remembered.
MOST = 20_000

_State: TypeAlias = tuple[int, ...]
_known: dict[tuple[str, int, int], tuple[_State, str]] = {}


def of(how: str, handle: int, read: Callable[[], str]) -> str:
    """The digest of an open file. ``how``: which kind of digest; ``read`` finds it.

    Raises:
        Exception: of ``read``.
    """
    began, before = time.time_ns(), os.fstat(handle)
    key, state = (how, before.st_dev, before.st_ino), _state(before)
    known = _known.get(key)
    if known and known[0] == state:
        return known[1]
    found = read()
    settled = 0 <= before.st_ctime_ns < began - SETTLED
    if settled and _state(os.fstat(handle)) == state:
        if len(_known) >= MOST:
            _known.clear()
        _known[key] = state, found
    return found


def _state(found: os.stat_result) -> _State:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns
