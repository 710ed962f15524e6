"""Folders that only this user may enter, whatever the umask."""

from __future__ import annotations

import contextlib
from pathlib import Path

#: What others may do with a folder.
OTHERS = 0o077


def folder(path: Path) -> None:
    """Make a folder that only this user may enter. One that is there is closed to others.

    One that belongs to another user stays as it is: that user decides.

    Raises:
        OSError: it cannot be made.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = path.stat().st_mode & 0o7777
    if mode & OTHERS:
        with contextlib.suppress(PermissionError):
            path.chmod(mode & ~OTHERS)
