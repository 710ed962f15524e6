"""Finds out why QEMU does not answer: its process is stopped, starved or swapped out.

The kernel tells this (proc(5)), whichever door started QEMU. Only the parent of a process gets
an event when it is stopped, so this polls.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.errors import MachineError
from lab.util import process

#: Seconds between two looks, and seconds that a process must be stopped to be reported.
LOOK, LASTING = 1.0, 10.0
#: QEMU is starved if it waits for a CPU for more than this share of the time, and gets one for
#: less than this share. If it shares a CPU with ten other processes, it is only slow.
WAITING, GETS = 0.5, 0.05
#: QEMU is swapped out if more than this share of its memory is.
SWAPPED = 0.5
_NAME = re.compile(rb"guest=(xenlab-[0-9a-f]{12}),")


@dataclass(frozen=True)
class ProcessSample:
    """How long a process had a CPU and waited for one until the time ``at``; all in seconds.

    ``state`` is the letter of proc_pid_stat(5).
    """

    at: float
    cpu: float
    waited: float
    state: str


def machines() -> dict[str, int]:
    """The QEMU processes of all labs: tag → pid."""
    found = {}
    for pid, argv in process.running():
        if b"qemu-system" in argv[0] and (name := next(_names(argv), None)):
            found[name[1].decode()] = pid
    return found


def stopped(pid: int) -> MachineError | None:
    """The error if somebody has stopped this QEMU; ``None`` if it can run."""
    state = process.state(pid)
    if state == "T":
        return _error(f"QEMU (process {pid}) is stopped", f"continue it: kill -CONT {pid}")
    if state == "t":
        tracer = _field(pid, "TracerPid")
        return _error(f"QEMU (process {pid}) is held by a debugger, process {tracer}",
                      "continue it in the debugger, or end the debugger")  # fmt: skip
    if _frozen(pid):
        return _error(f"QEMU (process {pid}) is frozen with its control group",
                      "continue it: docker unpause CONTAINER, or systemctl thaw UNIT")  # fmt: skip
    return None


def why_stopped(tag: str) -> MachineError | None:
    """The error if somebody has stopped the QEMU of this lab; ``None`` if it can run."""
    pid = machines().get(tag)
    return stopped(pid) if pid else None


async def lasting(tag: str) -> MachineError:
    """Wait until the machine has been stopped for :data:`LASTING` seconds. Returns the error."""
    since: float | None = None
    pid = None
    while True:
        await asyncio.sleep(LOOK)
        if pid is None or not process.state(pid):
            pid = machines().get(tag)
        why = stopped(pid) if pid else None
        since = None if why is None else since or time.monotonic()
        if why and since and time.monotonic() - since >= LASTING:
            return why


async def why_silent(tag: str) -> MachineError | None:
    """The error if QEMU's process is why the machine does not answer. Takes :data:`LOOK` s."""
    pid = machines().get(tag)
    if pid is None:
        return None
    if why := stopped(pid):
        return why
    before = _sample(pid)
    await asyncio.sleep(LOOK)
    after = _sample(pid)
    return judged(pid, before, after) if before and after else None


def judged(pid: int, before: ProcessSample, after: ProcessSample) -> MachineError | None:
    """The error if two samples show that a process is swapped out or starved."""
    seconds = max(after.at - before.at, 0.001)
    got, waited = (after.cpu - before.cpu) / seconds, (after.waited - before.waited) / seconds
    swapped, memory = _kilobytes(pid, "VmSwap"), _kilobytes(pid, "VmRSS")
    if after.state == "D" and got < GETS and swapped > SWAPPED * (swapped + memory):
        return _error(
            f"QEMU (process {pid}) is swapped out: {swapped >> 10} MB of its memory are on a disk",
            "end other programs, or run fewer labs at once",
        )
    if got < GETS and (waited > WAITING or after.state == before.state == "R"):
        return _error(
            f"QEMU (process {pid}) is starved: it got {got:.0%} of a CPU, and waited for one "
            f"{min(waited, 1):.0%} of the time",
            "end other programs, or run fewer labs at once",
        )
    return None


def _error(words: str, hint: str) -> MachineError:
    return MachineError(words, hint=hint)


def _names(argv: list[bytes]) -> Iterator[re.Match[bytes]]:
    return (found for word in argv if (found := _NAME.match(word)))


def _sample(pid: int) -> ProcessSample | None:
    """From proc_pid_stat(5) and each thread's schedstat: nanoseconds on a CPU, waiting for one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        waits = [0.0]
        for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            waits.append(int(path.read_text().split()[1]) / 1e9)
        return ProcessSample(time.monotonic(), cpu, sum(waits), fields[0])
    except (OSError, IndexError, ValueError):
        return None


def _field(pid: int, name: str) -> str:
    """A field of proc_pid_status(5)."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return line.partition(":")[2].strip()
    return "?"


def _kilobytes(pid: int, name: str) -> int:
    words = _field(pid, name).split()
    return int(words[0]) if words and words[0].isdigit() else 0


def _frozen(pid: int) -> bool:
    """Whether its control group is frozen (cgroups(7)), by version 2 or version 1's freezer."""
    groups = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            events = groups / path.lstrip("/") / "cgroup.events"
            state = groups / "freezer" / path.lstrip("/") / "freezer.state"
            if not controllers and events.is_file() and "frozen 1" in events.read_text():
                return True
            if controllers == "freezer" and state.is_file() and "THAWED" not in state.read_text():
                return True
    return False
