"""Which engines were used: noted in a file beside the locks of labs.

So a command asks an engine only where there may be something to find.
"""

from __future__ import annotations

from pathlib import Path

from lab.rundir import lock_folder
from lab.util import files, reading


def mark(where: str) -> bool:
    """Note that an engine is used; ``True`` if it was not noted before."""
    noted = engines()
    if where in noted:
        return False
    files.write_atomic(_marks(), "".join(f"{one}\n" for one in (*noted, where)))
    _marks().chmod(0o600)
    return True


def engines() -> list[str]:
    """The addresses of the engines that were used and whose socket is still there."""
    try:
        noted = reading.text(_marks()).split("\n")
    except OSError:
        return []
    return [one for one in noted if one and Path(one.partition("://")[2]).exists()]


def _marks() -> Path:
    return lock_folder() / "engines"
