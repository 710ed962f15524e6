"""Wakes the main loop of a QEMU process, again and again: at moments that nobody can foresee."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

#: pidfd_getfd(2), which Python has not.
_PIDFD_GETFD = 438
#: Seconds between two looks at which descriptors there are, and the longest between two wakes.
LOOK, PAUSE = 0.3, 0.0004


def until_it_ends(pid: int) -> int:
    """Returns how often it was woken: 0 if this user may not."""
    woken = 0
    while _lives(pid):
        with _bells(pid) as bells:
            again = time.monotonic() + LOOK
            while bells and time.monotonic() < again:
                for bell in bells:
                    with contextlib.suppress(BlockingIOError):
                        os.write(bell, (1).to_bytes(8, "little"))
                woken += 1
                time.sleep(random.random() * PAUSE)
            if not bells:
                time.sleep(PAUSE)
    return woken


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@contextlib.contextmanager
def _bells(pid: int) -> Iterator[list[int]]:
    """Copies of the event descriptors by which QEMU's threads wake its main loop."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        process = os.pidfd_open(pid)
        try:
            for path in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    if "[eventfd]" in str(path.readlink()):
                        found.append(_copy(process, int(path.name)))
        finally:
            os.close(process)
    try:
        yield found
    finally:
        for one in found:
            os.close(one)


def _copy(process: int, handle: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    copy = int(libc.syscall(_PIDFD_GETFD, process, handle, 0))
    if copy < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    os.set_blocking(copy, False)
    return copy
