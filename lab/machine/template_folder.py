"""The folder of all templates: what comes into it and leaves it, and when.

Many commands use it at a time. Folders come and go under one lock. Who only reads takes none: a
template may go away while it is read.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from contextlib import AbstractContextManager
from pathlib import Path

from lab.util import files

#: The number of templates that are kept. Each takes some 150 MB of the disk.
KEPT = 24
#: How the folder of a template begins that is not complete.
HALF_MADE = ".new-"


def locked(root: Path) -> AbstractContextManager[int]:
    """Hold the lock under which folders come into ``root`` and leave it."""
    return files.locked(root.with_name("locks") / root.name)


def begin(root: Path) -> tuple[Path, int]:
    """A new folder to make a template in, and its lock. Removes those of killed commands."""
    with locked(root):
        _remove_half_made(root)
        work = root / f"{HALF_MADE}{secrets.token_hex(6)}"
        work.mkdir(parents=True)
        handle = files.try_lock(work)
    assert handle is not None, "nobody else knows the folder"
    return work, handle


def make_room(root: Path) -> None:
    """Keep the templates that were used last. A lab that runs still has the files it opened."""
    folders = [path for path in root.iterdir() if not path.name.startswith(HALF_MADE)]
    for path in files.newest_first(folders)[KEPT:]:
        _remove(path)


def clean(root: Path) -> int:
    """Remove all templates, also those set aside or half made, but not what somebody is making now.
    Returns their size in bytes."""
    if not root.is_dir():
        return 0
    size = 0
    with locked(root):
        _remove_half_made(root)
        for path in list(root.iterdir()):
            if not path.name.startswith(HALF_MADE):
                size += occupied(path)
                _remove(path)
        with contextlib.suppress(OSError):  # somebody makes one
            root.rmdir()
    return size


def occupied(folder: Path) -> int:
    """How many bytes of the disk a folder takes."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def _remove_half_made(root: Path) -> None:
    """Remove what killed commands were making."""
    for left in root.glob(f"{HALF_MADE}*"):
        handle = files.try_lock(left)
        if handle is not None:
            files.remove_tree(left)
            os.close(handle)


def _remove(path: Path) -> None:
    """Remove a folder of ours. It is renamed first, so that nobody takes it for a template, finds
    it damaged and moves it while it is being removed."""
    gone = path.with_name(f".gone-{secrets.token_hex(6)}")
    path.rename(gone)
    files.remove_tree(gone)
