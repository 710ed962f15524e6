"""Says which command is at work on a lab, since when, and at which stage.

:mod:`lab.run.live` takes and releases claims. While a command is at work on a lab, the claim's file
names it. Two files beside it say which stage it is at (``ID.at``), and which other command
interrupted it (``ID.by``).
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

#: Seconds that a command has to stop, with its machine, when it is interrupted.
STOPPED = 30.0
#: The name of a command that was there a moment ago and has ended.
ENDED = "a command that has just ended"


@dataclass(frozen=True)
class Maker:
    """A command that is at work on a lab.

    Attributes:
        since: when it began, in seconds of the monotonic clock.
        name: the lab's name.
        at: the stage that it is at; empty if it said none.
    """

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
    """Write into the claim's file, of descriptor ``handle``, that this process has the lab."""
    pid = os.getpid()
    who = {
        "command": command, "name": name, "pid": pid, "boot_id": process.boot_id(),
        "start_time": process.start_time(pid), "since": time.monotonic(),
    }  # fmt: skip
    for file in (_at(lab), _by(lab)):
        file.unlink(missing_ok=True)
    with files.naming(rundir.claim_file(lab)):
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(who).encode(), 0)


def done(lab: LabDir, handle: int) -> None:
    """Note that the command is done with the lab."""
    with contextlib.suppress(OSError):
        os.ftruncate(handle, 0)
    for file in (_at(lab), _by(lab)):
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def said(lab: LabDir) -> dict[str, Any]:
    """The contents of the claim's file; empty if nobody is at work, or it is damaged."""
    with contextlib.suppress(OSError, ValueError):
        found = reading.json_file(rundir.claim_file(lab))
        if isinstance(found, dict):
            return found
    return {}


def maker(lab: LabDir) -> Maker | None:
    """The command that is at work on the lab now; ``None`` if none is."""
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
    """While the block runs, others can see which stage ``progress`` is at."""

    def note(stage: str) -> None:
        with contextlib.suppress(OSError):  # a note for others must not end the work
            files.write_private(_at(lab), stage)

    with progress.followed(note) if progress else contextlib.nullcontext():
        yield


def interrupt(lab: LabDir, why: str) -> Maker | None:
    """Interrupt the command that is at work on the lab, as Ctrl-C does; returns which one it was.

    It cleans up by itself. If it has not ended after :data:`STOPPED` seconds, the caller goes on
    and ends the machine. ``why``: our command, for the message of the other one.
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
    """Which command interrupted ours, in words; empty if a person or the system did."""
    return _text(_by(lab))


@contextlib.contextmanager
def named_interrupts(lab: LabDir) -> Iterator[None]:
    """If another command interrupts the block, the ``KeyboardInterrupt`` says which one."""
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
    lock = rundir.claim_file(lab)
    return lock.with_name(f"{lock.name}.{end}")
