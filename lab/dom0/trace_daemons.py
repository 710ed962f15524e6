"""Starts and stops the programs in dom0 that carry traces to the host, and reads their log.

Their sources are ``images/dom0/src/lab-{clock,xentrace,trace,trace-stop}.c``. Each of these
explains the lines that it writes to the port ``trace-log``. Parts of the lines come from guests,
so a line that does not have the known form is skipped, and names are in hexadecimal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lab.dom0.agent import Dom0, ProgramResult
from lab.errors import Dom0Error
from lab.util.terminal import escape

#: The size of Xen's trace buffer for each CPU, in pages: about one second of a busy CPU.
PAGES = 256
#: Seconds that a start, and a stop with all that is still to be written, may take.
START, STOP = 30.0, 25.0
#: The most lines of a log that are read. This bounds the number of tasks and of rings.
MOST_LINES = 2_000_000


@dataclass
class GuestTrace:
    """What the log says of a guest's trace.

    Attributes:
        ended: why the trace ended; empty if it was cut off.
        records, lost: how many records there are and were lost, also of earlier domains of the
            same guest.
    """

    domain: int
    frequency: int
    tick_hz: int
    capacity: int
    tasks: dict[int, tuple[str, int]] = field(default_factory=dict)
    records: int = 0
    lost: int = 0
    ended: str = ""


@dataclass
class Log:
    """All that the log of a run says about its traces.

    Attributes:
        clock: the lower and upper bound of CNTPCT minus dom0's CNTVCT, how many pairs of
            readings gave them, and the counter's frequency in Hz.
        rings: by guest, dom0's CNTVCT at each time when the guest rang.
    """

    guests: dict[str, GuestTrace] = field(default_factory=dict)
    clock: tuple[int, int, int, int] | None = None
    rings: dict[str, list[int]] = field(default_factory=dict)
    xen_ended: str = ""


async def relate_clocks(agent: Dom0) -> None:
    """Measure the difference between dom0's counter and the physical one."""
    _demand(await agent.run(["lab-clock", str(PAGES)], within=START), "the clocks' relation")


async def start_xen(agent: Dom0, mask: int) -> None:
    """Start Xen's trace. When this returns, the trace runs."""
    argv = ["lab-xentrace", f"{mask:#x}", str(PAGES)]
    _demand(await agent.run(argv, within=START), "Xen's trace")


async def keep_busy(agent: Dom0) -> None:
    """Let dom0 compute without end, at the lowest priority."""
    _demand(await agent.run(["lab-busy"], within=START), "dom0's load")


async def stop(agent: Dom0) -> None:
    """End all traces. When this returns, the last record is on the host."""
    _demand(await agent.run(["lab-trace-stop"], within=STOP), "the end of the traces")


def parse(text: str) -> Log:
    """Read the log of a run, whatever it holds."""
    log = Log()
    for number, line in enumerate(text.splitlines()):
        if number >= MOST_LINES:
            break
        kind, *words = line.split() or [""]
        with contextlib.suppress(ValueError, KeyError, IndexError):
            _KINDS.get(kind, _skip)(log, words)
    return log


def _skip(log: Log, words: list[str]) -> None:
    """Skip a line of an unknown kind."""


def _guest(log: Log, words: list[str]) -> None:
    name, values = words[0], dict(_pairs(words[1:]))
    before = log.guests.get(name)
    log.guests[name] = GuestTrace(
        values["domain"], values["frequency"], values["tick"], values["capacity"]
    )
    if before:
        log.guests[name].records, log.guests[name].lost = before.records, before.lost


def _task(log: Log, words: list[str]) -> None:
    guest, ident, priority, name = words
    raw = bytes.fromhex(name).partition(b"\0")[0]
    log.guests[guest].tasks[int(ident)] = escape(raw), int(priority)


def _end(log: Log, words: list[str]) -> None:
    values = dict(_pairs(words[1:5]))
    guest = log.guests[words[0]]
    guest.records += values["records"]
    guest.lost += values["lost"]
    guest.ended = words[5]


def _clock(log: Log, words: list[str]) -> None:
    low, high, pairs, frequency = map(int, words)
    log.clock = low, high, pairs, frequency


def _ring(log: Log, words: list[str]) -> None:
    log.rings.setdefault(words[0], []).append(int(words[2]))


def _xen(log: Log, words: list[str]) -> None:
    log.xen_ended = words[2]


_KINDS: dict[str, Callable[[Log, list[str]], None]] = {
    "guest": _guest, "task": _task, "end": _end, "clock": _clock, "ring": _ring, "xen": _xen,
}  # fmt: skip


def _pairs(words: list[str]) -> Iterator[tuple[str, int]]:
    for name, value in zip(words[::2], words[1::2], strict=True):
        yield name, int(value)


def _demand(result: ProgramResult, what: str) -> None:
    if result.status != 0:
        tail = escape((result.stderr + result.stdout).decode(errors="replace"))
        raise Dom0Error(f"{what}: {result.argv[0]} failed in dom0", tail=tail)
