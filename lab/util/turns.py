"""Turns: for things that only one process can use at a time.

A turn is an flock(2) on a file, so it ends with its process, however that ends. A process that
waits first locks the file beside it, the *next* place. So nobody gets a second turn before those
who already wait. The file says which process has the turn, and since when. That counts only while
the lock is held.

The wait is in a thread that can be abandoned, so Ctrl-C and deadlines end it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.errors import BusyError, MachineError
from lab.util import process, reading, waiting
from lab.util.deadline import Deadline

#: The size in bytes of the record of the holder, padded with blanks: one write.
_RECORD = 256


@dataclass(frozen=True)
class Holder:
    """The process that has a turn, and for how many seconds."""

    pid: int
    seconds: float

    def __str__(self) -> str:
        words = f"process {self.pid} ({process.title(self.pid)}), for {self.seconds:.0f} s"
        return f"{words}, which is stopped" if process.is_stopped(self.pid) else words


class Turn:
    """A turn that was taken. :meth:`end` may be called again."""

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    def is_on(self, path: Path) -> bool:
        """Whether the turn is for the file that is at ``path`` now."""
        if self._handle is None:
            return False
        with contextlib.suppress(OSError):
            return os.path.samestat(os.fstat(self._handle), path.stat())
        return False

    def end(self) -> None:
        """Give the turn to the next process."""
        handle, self._handle = self._handle, None
        if handle is not None:
            with contextlib.suppress(OSError):
                os.pwrite(handle, b" " * _RECORD, 0)
            os.close(handle)


def of(socket: Path) -> Path:
    """The file for the turns on a socket or FIFO, beside it."""
    return socket.with_suffix(".lock")


async def take(path: Path, what: str, within: float) -> Turn:
    """A turn on ``path``, a file that is made if missing. ``what`` names the thing in messages.

    Raises:
        BusyError: there was none within ``within`` seconds; names who has it.
        MachineError: the folder of the file went away meanwhile.
        OSError: it cannot be opened.
    """
    deadline = Deadline(within)
    place = Turn(await _locked(_next(path), path, what, deadline))
    try:
        turn = Turn(await _locked(path, path, what, deadline))
    finally:
        place.end()
    return _still_there(turn, path, what)


@contextlib.contextmanager
def taken(path: Path, what: str, within: float) -> Iterator[None]:
    """The same for a block without asyncio."""
    deadline = Deadline(within)
    place = Turn(_lock(_next(path), path, what, deadline))
    try:
        turn = Turn(_lock(path, path, what, deadline))
    finally:
        place.end()
    try:
        yield
    finally:
        turn.end()


def holder(path: Path) -> Holder | None:
    """The process that has the turn on ``path``, or else the next one; ``None`` if none is
    recorded."""
    for file in (path, _next(path)):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            said = reading.parse_json(_record(file))
            pid = int(said["pid"])
            if process.start_time(pid) == said["start_time"]:
                return Holder(pid, max(0.0, time.monotonic() - float(said["since"])))
    return None


async def _locked(file: Path, path: Path, what: str, deadline: Deadline) -> int:
    handle, free = _try(file)
    if not free:
        try:
            async with asyncio.timeout(deadline.left()):
                await waiting.in_job(lambda: _wait(handle), os.close)
        except TimeoutError as error:
            raise _none(path, what, deadline) from error
    _say_who(handle)
    return handle


def _lock(file: Path, path: Path, what: str, deadline: Deadline) -> int:
    handle, free = _try(file)
    if not free:
        job = waiting.Job(lambda: _wait(handle), os.close)
        try:
            if not job.ended(deadline.left()):
                raise _none(path, what, deadline)
            job.take()
        except BaseException:
            job.leave()
            raise
    _say_who(handle)
    return handle


def _open(file: Path, how: int) -> int:
    """Open a regular file and no link: a QEMU that a guest has taken over can see the folder
    too."""
    handle = os.open(file, how | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file", str(file))
    return handle


def _record(file: Path) -> bytes:
    handle = _open(file, os.O_RDONLY)
    try:
        return os.pread(handle, _RECORD, 0)
    finally:
        os.close(handle)


def _try(file: Path) -> tuple[int, bool]:
    """The file, and whether its lock was free and is now ours."""
    handle = _open(file, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return handle, False
    return handle, True


def _wait(handle: int) -> int:
    """Runs in a thread, which owns the descriptor until it has the lock."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        os.close(handle)
        raise
    return handle


def _say_who(handle: int) -> None:
    pid = os.getpid()
    who = {"pid": pid, "start_time": process.start_time(pid), "since": time.monotonic()}
    with contextlib.suppress(OSError):  # a full disk must not make the lab unusable
        os.pwrite(handle, json.dumps(who).encode().ljust(_RECORD), 0)


def _still_there(turn: Turn, path: Path, what: str) -> Turn:
    """Check that the file still exists: one that was removed keeps nobody out, because the next
    process makes a new one."""
    if turn.is_on(path):
        return turn
    turn.end()
    raise MachineError(f"{what} disappeared while this command waited for it",
                       hint="lab.status says whether the lab still runs")  # fmt: skip


def _next(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")


def _none(path: Path, what: str, deadline: Deadline) -> BusyError:
    found = holder(path)
    hint = "wait for that process to end, or give this command more time"
    if found and process.is_stopped(found.pid):
        hint = f"continue it: kill -CONT {found.pid}; or end it: kill {found.pid}"
    return BusyError(
        f"{what} is in use by {found or 'another process'}; "
        f"gave up waiting after {deadline.seconds:g} s",
        hint=hint,
    )
