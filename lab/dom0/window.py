"""The window: a part of the machine's memory that is a file on the host.

Files go to dom0 and back through it; ``images/dom0/src/window.h`` is dom0's side. Bytes that one
side writes are there for the other side at once, whether the machine runs or stands still. Only
one command can use the window: the one that has dom0's agent, or dom0 at a stop.

The file is in a folder that QEMU can write to, and a guest may have taken QEMU over. So if a link
or anything else has taken its place, it is not opened, because it could lead out of the lab.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from lab.errors import Dom0Error, MachineError

#: A file's content begins at a multiple of dom0's page size, in bytes.
PAGE = 4096
#: The hint if dom0 has no room for a file: its files are in its memory.
FULL = "dom0's memory is full: give it more (labs.yaml, 'dom0: {memory: 512M}')"


class Window:
    """A lab's window, which is the file ``path``. ``heard`` hears of what is written into it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.heard: Callable[[int, bytes], None] = lambda _at, _data: None

    @property
    def size(self) -> int:
        """Its size in bytes; 0 if there is no window, as in a lab of an older version."""
        try:
            return self._path.lstat().st_size
        except OSError:
            return 0

    def write(self, at: int, data: bytes) -> None:
        """Write bytes at the offset ``at``.

        Raises:
            MachineError: the host has no room for them, or another file has replaced the window.
        """
        if not data:
            return
        self.heard(at, data)
        with self._open(os.O_RDWR, "cannot be written") as file:
            written = os.pwrite(file, data, at)
        if written != len(data):
            raise MachineError(f"{self._path} took only a part of the data: is its disk full?")

    def reserve(self) -> None:
        """Allocate all of it on the disk. Without room, QEMU is killed when dom0 writes.

        Raises:
            MachineError: the host has no room, or another file has replaced the window.
        """
        with self._open(os.O_RDWR, "has no room") as file:
            os.posix_fallocate(file, 0, self.size)

    def read(self, size: int) -> bytes:
        """Its first ``size`` bytes.

        Raises:
            MachineError: another file has replaced the window.
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
                    raise OSError(errno.EINVAL, "it is not a plain file")
                yield file
            finally:
                os.close(file)
        except OSError as error:
            raise MachineError(f"{self._path} {failed}: {error.strerror}") from error


def up(size: int) -> int:
    """``size`` rounded up to a multiple of a page."""
    return -(-size // PAGE) * PAGE


def refused(what: str, number: int) -> Dom0Error:
    """The error for ``what``, which dom0 refused with this ``errno``."""
    return Dom0Error(f"{what}: {os.strerror(abs(number))}", hint=FULL if _full(number) else "")


def _full(number: int) -> bool:
    return abs(number) in (errno.ENOSPC, errno.ENOMEM)
