"""The folder of all templates: what comes into it and leaves it, and when.

Many commands use it at a time. Folders come and go under one lock. Who only reads takes none: a
template may go away while it is read. Who starts machines from a template has a :class:`Hold` on
it, and nobody removes it meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from lab.util import files, private

#: The number of templates that are kept. Each takes some 150 MB of the disk.
KEPT = 24
#: How the folder of a template begins that is not complete.
HALF_MADE = ".new-"


class Hold:
    """As long as this object lives, its template is not removed."""

    _close = staticmethod(os.close)  # ours also when Python ends, and takes modules apart

    def __init__(self, handle: int) -> None:
        """``handle``: of the template's folder. It is closed with this object."""
        self._handle = handle
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def __del__(self) -> None:
        self._close(self._handle)


def hold(folder: Path) -> Hold:
    """Hold a template.

    Raises:
        OSError: it is not there any more, or is being removed.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    found = Hold(handle)
    if not os.path.samestat(os.fstat(handle), folder.stat()):
        raise FileNotFoundError(errno.ENOENT, "it was made anew", str(folder))
    return found


@contextlib.contextmanager
def nobody_holds(folder: Path) -> Iterator[bool]:
    """Yields whether a template is free: nobody holds it, or it is not there. A free one stays free
    while the block runs."""
    handle = _taken(folder)
    try:
        yield handle is not None or not folder.is_dir()
    finally:
        if handle is not None:
            os.close(handle)


def locked(root: Path) -> AbstractContextManager[int]:
    """Hold the lock under which folders come into ``root`` and leave it."""
    return files.locked(root.with_name("locks") / root.name)


def begin(root: Path) -> tuple[Path, int]:
    """A new folder to make a template in, and its lock. Removes those of killed commands."""
    with locked(root):
        _remove_half_made(root)
        work = root / f"{HALF_MADE}{secrets.token_hex(6)}"
        private.folder(root)
        work.mkdir()
        handle = files.try_lock(work)
    assert handle is not None, "nobody else knows the folder"
    return work, handle


def make_room(root: Path) -> None:
    """Keep the templates that were used last, and those that somebody holds."""
    folders = [path for path in root.iterdir() if not path.name.startswith(HALF_MADE)]
    for path in files.newest_first(folders)[KEPT:]:
        _remove(path)


def clean(root: Path) -> int:
    """Remove all templates, also those set aside or half made, but not what somebody is making or
    holds now. Returns their size in bytes."""
    if not root.is_dir():
        return 0
    size = 0
    with locked(root):
        _remove_half_made(root)
        for path in list(root.iterdir()):
            if not path.name.startswith(HALF_MADE):
                size += _remove(path)
        with contextlib.suppress(OSError):  # somebody makes one
            root.rmdir()
    return size


def occupied(folder: Path) -> int:
    """How many bytes of the disk a folder takes. Others may be removing it."""
    size = 0
    with contextlib.suppress(FileNotFoundError):
        for path in folder.rglob("*"):
            size += path.lstat().st_blocks * 512
    return size


def _remove_half_made(root: Path) -> None:
    """Remove what killed commands were making."""
    for left in root.glob(f"{HALF_MADE}*"):
        handle = _taken(left)
        if handle is not None:
            files.remove_tree(left)
            os.close(handle)


def _taken(path: Path) -> int | None:
    """The lock of a folder; ``None`` if somebody has it, or has just removed the folder."""
    with contextlib.suppress(FileNotFoundError):
        return files.try_lock(path, make=False)
    return None


def _remove(path: Path) -> int:
    """Remove a folder of ours, unless somebody holds it; returns its size in bytes."""
    handle = _taken(path)
    if handle is None:
        return 0
    try:
        size = occupied(path)
        remove(path)
    finally:
        os.close(handle)
    return size


def remove(path: Path) -> None:
    """Remove a template that nobody holds. It is renamed first, so that nobody takes it for a
    template, finds it damaged and moves it while it is being removed."""
    gone = path.with_name(f".gone-{secrets.token_hex(6)}")
    path.rename(gone)
    files.remove_tree(gone)
