"""The window: memory of the machine that is a file here. Files go to dom0 and back through it.

Whatever is written is there at once, whether the machine runs or stands still, and however its
other memory came about (``images/dom0/src/window.h`` is dom0's side). Who uses it must be the
only one: it is theirs who have dom0's agent, or dom0 at a stop.

It lies in a folder that QEMU can write, too, and a guest may have taken QEMU over. So a link or
anything else that took its place is not opened: it would lead out of the lab.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from lab.errors import Dom0Error, MachineError

#: What a file's content begins at a multiple of, in bytes: dom0's page.
PAGE = 4096
#: What to do when dom0, whose files lie in its memory, has no room for more.
FULL = "dom0's memory is full: give it more (labs.yaml, 'dom0: {memory: 512M}')"


class Window:
    """The window of a lab whose file is ``path``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def size(self) -> int:
        """Its bytes; 0: there is none, as in a lab that an earlier version of ours started."""
        try:
            return self._path.lstat().st_size
        except OSError:
            return 0

    def write(self, at: int, data: bytes) -> None:
        """Lay bytes into it.

        Raises:
            MachineError: the host has no room for them, or the window is not what it was.
        """
        if not data:
            return
        with self._open(os.O_RDWR, "cannot be written") as file:
            written = os.pwrite(file, data, at)
        if written != len(data):
            raise MachineError(f"{self._path} took a part only: is its disk full?")

    def reserve(self) -> None:
        """Have room on the disk for all of it, before dom0 writes: QEMU would be killed.

        Raises:
            MachineError: the host has no room, or the window is not what it was.
        """
        with self._open(os.O_RDWR, "has no room") as file:
            os.posix_fallocate(file, 0, self.size)

    def read(self, size: int) -> bytes:
        """Its first bytes.

        Raises:
            MachineError: the window is not what it was.
        """
        with self._open(os.O_RDONLY, "cannot be read") as file:
            return os.pread(file, min(size, self.size), 0)

    @contextlib.contextmanager
    def _open(self, how: int, failed: str) -> Iterator[int]:
        try:
            flags = how | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            file = os.open(self._path, flags)
            try:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    raise OSError(errno.EINVAL, "it is no plain file")
                yield file
            finally:
                os.close(file)
        except OSError as error:
            raise MachineError(f"{self._path} {failed}: {error.strerror}") from error


def up(size: int) -> int:
    """The next multiple of a page."""
    return -(-size // PAGE) * PAGE


def refused(what: str, number: int) -> Dom0Error:
    """dom0 could not do ``what``, and says this ``errno``."""
    return Dom0Error(f"{what}: {os.strerror(abs(number))}", hint=FULL if _full(number) else "")


def _full(number: int) -> bool:
    return abs(number) in (errno.ENOSPC, errno.ENOMEM)
