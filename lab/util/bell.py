"""Wakes up a thread that waits in poll(2), from another thread."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from lab.util import together


class Bell:
    """An eventfd(2). It may be rung after it was closed: then nothing happens."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self.fd = os.eventfd(0, os.EFD_CLOEXEC)

    def ring(self) -> None:
        with self._guard:
            if self.fd >= 0:
                os.eventfd_write(self.fd, 1)

    def close(self) -> None:
        with self._guard:
            os.close(self.fd)
            self.fd = -1


@contextlib.contextmanager
def rung_at_the_end() -> Iterator[int]:
    """A descriptor for poll(2). It becomes readable if the work of this thread is called off.

    Raises:
        CalledOff: it was called off (:mod:`lab.util.together`).
    """
    with contextlib.closing(Bell()) as bell, together.ended_by(bell.ring):
        yield bell.fd
