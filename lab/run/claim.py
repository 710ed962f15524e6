"""Which command is at work on a lab: what it is, since when, what it is at; and who stopped it.

A lab's lock keeps others out (see :mod:`lab.run.live`); its file says who holds it, for as long as
that command is at it. Two files beside it say more: what it is at now (``ID.at``), and which
command interrupted it (``ID.by``).
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import rundir
from lab.model import Door, ProgramRecord
from lab.progress import Progress
from lab.rundir import LabDir
from lab.toolchain.program import HostProgram
from lab.util import files, process, reading
from lab.util.terminal import escape

#: Seconds that a command may take to stop when it is asked to, its machine included.
STOPPED = 30.0
#: In place of a command that was there a moment ago.
ENDED = "a command that has just ended"


@dataclass(frozen=True)
class Maker:
    """A command that is at work on a lab. ``since``: seconds of the monotonic clock."""

    program: HostProgram
    command: str
    since: float
    name: str = ""
    at: str = ""

    @property
    def pid(self) -> int:
        return int(self.program.record.id)

    def __str__(self) -> str:
        seconds = max(0.0, time.monotonic() - self.since)
        stopped = ", which is stopped," if process.is_stopped(self.pid) else ""
        at = f": {self.at}" if self.at else ""
        return f"process {self.pid} ({self.command}){stopped} for {seconds:.0f} s{at}"


def say(lab: LabDir, handle: int, name: str, command: str) -> None:
    """Write into the lock's file that this process is at work on the lab."""
    pid = os.getpid()
    who = {
        "command": command, "name": name, "pid": pid, "boot_id": process.boot_id(),
        "start_time": process.start_time(pid), "since": time.monotonic(),
    }  # fmt: skip
    for file in (_at(lab), _by(lab)):
        file.unlink(missing_ok=True)
    with files.naming(rundir.lock_file(lab)):
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(who).encode(), 0)


def done(lab: LabDir, handle: int) -> None:
    """The command is at it no more."""
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
    for file in (_at(lab), _by(lab)):
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def said(lab: LabDir) -> dict[str, Any]:
    """What the lock's file says, if anything."""
    with contextlib.suppress(OSError, ValueError):
        found = reading.json_file(rundir.lock_file(lab))
        if isinstance(found, dict):
            return found
    return {}


def maker(lab: LabDir) -> Maker | None:
    """The command that is at work on the lab now, if there is one."""
    who = said(lab)
    with contextlib.suppress(ValueError, KeyError, TypeError):
        found = HostProgram(
            ProgramRecord(Door.HOST, str(int(who["pid"])), who["boot_id"], who["start_time"])
        )
        since = float(who.get("since") or time.monotonic())
        if found.alive():
            words = escape(str(who.get("command", "")), limit=80), since, str(who.get("name", ""))
            return Maker(found, *words, _text(_at(lab)))
    return None


@contextlib.contextmanager
def told(lab: LabDir, progress: Progress | None) -> Iterator[None]:
    """While the block is executed, others can see which stage ``progress`` is at."""

    def note(stage: str) -> None:
        with contextlib.suppress(OSError):  # words for others must not end the work
            files.write_private(_at(lab), stage)

    with progress.followed(note) if progress else contextlib.nullcontext():
        yield


def interrupt(lab: LabDir, why: str) -> Maker | None:
    """Have the command that is at work on the lab stop, as Ctrl-C does; which one it was.

    It cleans up by itself; should it hang, it is left to whoever ends the machine. ``why``: our
    command, for its words.
    """
    found = maker(lab)
    if found is None or found.pid == os.getpid():
        return None
    with contextlib.suppress(OSError):
        files.write_private(_by(lab), f"{why} of process {os.getpid()}")
    found.program.interrupt()
    found.program.wait(STOPPED)
    return found


def interrupter(lab: LabDir) -> str:
    """Which command interrupted ours, in words; empty: a person or a system did."""
    return _text(_by(lab))


@contextlib.contextmanager
def named_interrupts(lab: LabDir) -> Iterator[None]:
    """An interrupt of the block says which command it came from, if it came from one."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if not interrupt.args and (who := interrupter(lab)):
            raise KeyboardInterrupt(f"interrupted by {who}") from None
        raise


def _text(file: Path) -> str:
    try:
        return escape(reading.text(file, errors="replace").strip(), limit=120)
    except OSError:
        return ""


def _at(lab: LabDir) -> Path:
    return _beside(lab, "at")


def _by(lab: LabDir) -> Path:
    return _beside(lab, "by")


def _beside(lab: LabDir, end: str) -> Path:
    lock = rundir.lock_file(lab)
    return lock.with_name(f"{lock.name}.{end}")
