"""A started program as a process of this host: its identity, whether it is alive, how it ends.

The process is watched through a pidfd (pidfd_open(2)). So waiting needs no polling, and a signal
never reaches another process that got the same pid later.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

from lab.model import Door, ProgramRecord
from lab.util import process

#: How long a killed program may take to end: the kernel ends its whole pid namespace.
KILL_SECONDS = 10.0


class HostProgram:
    """The process of a record. ``starter`` is our child process that reports its exit status."""

    def __init__(self, record: ProgramRecord, starter: process.Child | None = None) -> None:
        self._record = record
        self._starter = starter

    @property
    def record(self) -> ProgramRecord:
        return self._record

    def alive(self) -> bool:
        with self._pidfd() as handle:
            return handle is not None and not _ended(handle, 0)

    def wait(self, timeout: float) -> bool:
        with self._pidfd() as handle:
            return handle is None or _ended(handle, timeout)

    def returncode(self) -> int | None:
        if self._starter is None or self.alive():
            return None
        return process.reap(self._starter, KILL_SECONDS)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self.wait(KILL_SECONDS)
        self.returncode()

    def interrupt(self) -> None:
        """Ask it to end, as Ctrl-C does. A suspended program (Ctrl-Z) is woken up for it."""
        self._signal(signal.SIGINT)
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        with self._pidfd() as handle, contextlib.suppress(ProcessLookupError, PermissionError):
            if handle is not None:
                signal.pidfd_send_signal(handle, number)

    @contextlib.contextmanager
    def _pidfd(self) -> Iterator[int | None]:
        """A pidfd of the process of the record, or ``None`` if it has ended.

        Start time and tag are compared after the pidfd is opened: from then on it always means
        the same process.
        """
        handle = _open(int(self._record.id))
        try:
            yield handle if handle is not None and self._is_ours() else None
        finally:
            if handle is not None:
                os.close(handle)

    def _is_ours(self) -> bool:
        record, pid = self._record, int(self._record.id)
        same = record.boot_id == process.boot_id() and record.start_time == process.start_time(pid)
        words = process.arguments(pid) if same and record.tag else []
        return same and (not words or record.tag.encode() in words)


def tagged(tag: str) -> list[HostProgram]:
    """The sandboxes that were started with this tag, recorded or not.

    The tag is in their command lines (``--setenv LAB_TAG``). When a sandbox ends, so does
    everything that runs in it.
    """
    return [
        HostProgram(ProgramRecord(Door.HOST, str(pid), process.boot_id(), started, tag))
        for pid, argv in process.running()
        if tag.encode() in argv
        and argv[0].endswith(b"bwrap")
        and (started := process.start_time(pid)) is not None
    ]


def live_folders(target: str) -> set[Path]:
    """The folders that are mounted at ``target`` in the sandboxes of this user's labs."""
    found = set()
    mark = target.encode()
    for pid, argv in process.running():
        if not argv[0].endswith(b"bwrap") or b"LAB_TAG" not in argv or mark not in argv:
            continue
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}").stat().st_uid == os.getuid():
                found.add(Path(os.fsdecode(argv[argv.index(mark) - 1])))
    return found


def _open(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (ProcessLookupError, OSError):
        return None


def _ended(handle: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(timeout * 1000))
