"""Remembers which engines were used, in a file beside the claims on labs.

So a command asks an engine only if it may find something there.
"""

from __future__ import annotations

from pathlib import Path

from lab.rundir import lock_folder
from lab.util import files, reading


def mark(where: str) -> bool:
    """Note that the engine at ``where`` is used. Returns whether it was not noted before."""
    noted = engines()
    if where in noted:
        return False
    files.write_atomic(_marks(), "".join(f"{one}\n" for one in (*noted, where)))
    _marks().chmod(0o600)
    return True


def engines() -> list[str]:
    """The addresses of the engines that were used and whose sockets still exist."""
    try:
        noted = reading.text(_marks()).split("\n")
    except OSError:
        return []
    return [one for one in noted if one and Path(one.partition("://")[2]).exists()]


def _marks() -> Path:
    return lock_folder() / "engines"
