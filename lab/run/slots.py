"""Limits how many labs run at once: they share this machine's processors and memory.

A program that starts a lab with a limit takes a slot first. A slot is a file in the private folder
of live labs. It says how much room is taken, and by which process. It counts only while that
process lives. One lock guards all slots, so no room is given out twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lab import rundir
from lab.errors import BusyError
from lab.model import Door, ProgramRecord
from lab.toolchain.program import HostProgram
from lab.util import bell, files, process, reading, waiting
from lab.util.deadline import Deadline

#: The share of this machine's memory that labs may have together.
SHARE = 0.75


@dataclass(frozen=True)
class Room:
    """Processors, and bytes of memory."""

    cpus: int
    memory: int

    def __str__(self) -> str:
        return f"{self.cpus} CPU{'s' if self.cpus > 1 else ''} and {self.memory >> 20} MB"


@dataclass(frozen=True)
class Slot:
    """Room that a thread of a process has, or (``waits``) waits for.

    ``what``: which lab, and for whom. ``thread``: the system's number of the thread.
    """

    path: Path
    room: Room
    what: str
    pid: int
    boot_id: str
    start_time: int
    waits: bool = False
    thread: int = 0

    def alive(self) -> bool:
        """Whether its process still runs."""
        return HostProgram(
            ProgramRecord(Door.HOST, str(self.pid), self.boot_id, self.start_time)
        ).alive()


def machine() -> Room:
    """The room of this machine: its processors, and three quarters of its memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Room(len(os.sched_getaffinity(0)), int(memory * SHARE))


#: A context that is entered while a lab waits for room; it is told who has the room.
Waits = Callable[[str], contextlib.AbstractContextManager[object]]


@contextlib.contextmanager
def taken(
    wanted: Room, limit: Room, what: str, within: float, waits: Waits = contextlib.nullcontext
) -> Iterator[None]:
    """Wait for room for a lab, and hold it while the block runs.

    A lab that wants more than ``limit`` may run alone. ``waits`` is entered while there is no
    room.

    Raises:
        BusyError: there was no room within ``within`` seconds, or whoever has room itself waits
            for more. The message says who has the room.
        CalledOff: the work of this thread was called off.
    """
    path = _wait(wanted, limit, what, Deadline(within), waits)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def held() -> list[Slot]:
    """The slots of live processes. Removes the slots that dead processes left."""
    with _locked():  # else one that is being written would count as a dead process's
        return _held()


def _held() -> list[Slot]:
    return [one for one in _slots() if not one.waits]


def _locked() -> contextlib.AbstractContextManager[int]:
    return files.locked(rundir.lock_folder() / "slots")


def _slots() -> list[Slot]:
    found = []
    for path in sorted(_folder().iterdir()):
        slot = _read(path)
        if slot and slot.alive():
            found.append(slot)
        else:
            path.unlink(missing_ok=True)
    return found


def _wait(wanted: Room, limit: Room, what: str, deadline: Deadline, waits: Waits) -> Path:
    from asyncinotify import Mask

    with waiting.watching() as news, contextlib.ExitStack() as stack:
        news.add_watch(_folder(), Mask.DELETE)
        me, queued = os.getpid(), False
        while True:
            with _locked():
                others = _held()
                if not others or _fits([wanted, *(one.room for one in others)], limit):
                    return _take(wanted, what)
                if not queued:
                    stack.callback(_take(wanted, what, waits=True).unlink, missing_ok=True)
                    stack.enter_context(waits(_holders(others)))
                    queued = True
                waiting_too = {one.thread for one in _slots() if one.waits}
                stuck = {one.thread for one in others} <= waiting_too
            if stuck or deadline.passed():
                ours = all(one.pid == me for one in others)
                when = (
                    f"waited for {deadline.seconds:g} s" if not stuck else _OURS if ours else _ALL
                )
                raise _no_room(wanted, limit, what, others, when)
            _until_one_is_free(news.fd, others, deadline.left())


def _fits(rooms: list[Room], limit: Room) -> bool:
    cpus, memory = sum(one.cpus for one in rooms), sum(one.memory for one in rooms)
    return cpus <= limit.cpus and memory <= limit.memory


def _take(wanted: Room, what: str, *, waits: bool = False) -> Path:
    pid = os.getpid()
    path = _folder() / f"{pid}-{secrets.token_hex(4)}"
    start, thread = process.start_time(pid) or 0, threading.get_native_id()
    slot = Slot(path, wanted, what, pid, process.boot_id(), start, waits, thread)
    data: dict[str, Any] = asdict(slot)
    del data["path"]
    path.write_text(json.dumps(data))
    return path


def _read(path: Path) -> Slot | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        data = reading.json_file(path)
        slot = Slot(path, **data)
        return replace(slot, room=Room(**data["room"]))
    return None


def _until_one_is_free(news: int, others: list[Slot], seconds: float) -> None:
    """Wait until a slot's file is removed, or the process that has it ends."""
    poll = select.poll()
    poll.register(news, select.POLLIN)
    with contextlib.ExitStack() as stack:
        poll.register(stack.enter_context(bell.rung_at_the_end()), select.POLLIN)
        for pid in {one.pid for one in others} - {os.getpid()}:
            try:
                handle = os.pidfd_open(pid)
            except OSError:
                return
            stack.callback(os.close, handle)
            poll.register(handle, select.POLLIN)
        if news in dict(poll.poll(seconds * 1000)):
            os.read(news, 64 << 10)


_OURS = "this process itself holds all of it"
_ALL = "every process that has room waits for more"


def _no_room(wanted: Room, limit: Room, what: str, others: list[Slot], why: str) -> BusyError:
    holders = "; ".join(f"{_who(one)}: {one.room}" for one in others)
    return BusyError(
        f"no room for {what}: it needs {wanted} of {limit}; {why}; taken by {holders}",
        hint="stop one, use labs with a narrower scope, or raise the limit",
    )


def _who(slot: Slot) -> str:
    return f"{slot.what} (process {slot.pid})"


def _holders(slots: list[Slot]) -> str:
    """Who has room, in few words: each process once, with one of its labs."""
    found: dict[int, list[Slot]] = {}
    for one in slots:
        found.setdefault(one.pid, []).append(one)
    return "; ".join(
        f"{first.what}{f' and {len(more)} more' if more else ''} (process {pid})"
        for pid, (first, *more) in found.items()
    )


def _folder() -> Path:
    folder = rundir.runtime_root() / "locks" / "slots.d"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder
