"""What carries traces to the host: programs in dom0, started, stopped, and what they say.

Their sources are ``images/dom0/src/lab-{clock,xentrace,trace,trace-stop}.c``; each explains
the lines that it writes to the port ``trace-log``. Guests decide some of what is in these
lines, so a line that is not of the known form is skipped, and names come in hex.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lab.dom0.agent import Dom0, ProgramResult
from lab.errors import Dom0Error
from lab.util.terminal import escape

#: Xen's buffer for its trace, in pages for each CPU: about a second of a busy one.
PAGES = 256
#: Seconds that starting, and stopping with all that is still to be written, may take.
START, STOP = 30.0, 25.0
#: Of one log no more than so many lines count: tasks are bounded, and what dom0 rang.
MOST_LINES = 2_000_000


@dataclass
class GuestTrace:
    """What is known of a guest's trace. ``ended`` is why it ended; empty: it was cut off.

    ``records`` and ``lost`` count from the start, also those of domains that it replaced.
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
    """All that was said about a run's traces.

    ``clock``: bounds of CNTPCT minus dom0's CNTVCT, how many pairs gave them, and the
    frequency. ``rings``: for each guest, dom0's CNTVCT when it rang.
    """

    guests: dict[str, GuestTrace] = field(default_factory=dict)
    clock: tuple[int, int, int, int] | None = None
    rings: dict[str, list[int]] = field(default_factory=dict)
    xen_ended: str = ""


async def relate_clocks(agent: Dom0) -> None:
    """Measure how dom0's counter is related to the physical one."""
    _demand(await agent.run(["lab-clock", str(PAGES)], within=START), "the clocks' relation")


async def start_xen(agent: Dom0, mask: int) -> None:
    """Start Xen's trace; when this returns, it runs."""
    argv = ["lab-xentrace", f"{mask:#x}", str(PAGES)]
    _demand(await agent.run(argv, within=START), "Xen's trace")


async def keep_busy(agent: Dom0) -> None:
    """Let dom0 compute without end, politely."""
    _demand(await agent.run(["lab-busy"], within=START), "dom0's load")


async def stop(agent: Dom0) -> None:
    """End all traces; when this returns, the last record is on the host."""
    _demand(await agent.run(["lab-trace-stop"], within=STOP), "the end of the traces")


def parse(text: str) -> Log:
    """The log of a run, whatever it holds."""
    log = Log()
    for number, line in enumerate(text.splitlines()):
        if number >= MOST_LINES:
            break
        kind, *words = line.split() or [""]
        with contextlib.suppress(ValueError, KeyError, IndexError):
            _KINDS.get(kind, _skip)(log, words)
    return log


def _skip(log: Log, words: list[str]) -> None:
    """A line of no known kind."""


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
