"""Waits for lines on the consoles of a running machine, without polling.

QEMU writes each console to a raw log in the run folder. A wait ends at the wanted line, at a
line that says that Xen or dom0 failed, at the machine's end, or at its deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.machine.guest_ends import CRASHED, end_in
from lab.machine.log_lines import LogReader, RawLine
from lab.model import Layer
from lab.util import waiting
from lab.util.deadline import Deadline

#: QEMU logs a UART byte by byte. After the first byte, wait this many seconds for more.
SETTLE = 0.01
#: After a panic's first line, wait this many seconds for the lines that say why.
AFTERMATH = 0.5


@dataclass(frozen=True)
class Failure:
    """A kind of line, on the console ``on``, that says that Xen or dom0 failed.

    ``what`` is the failure in words.
    """

    layer: Layer
    on: str
    pattern: re.Pattern[bytes]
    what: str


_XEN = rb"^\(XEN\) (?:\[[^\]]*\] ?)?"
_LINUX = rb"^(?:<\d+>)?(?:\[[^\]]*\] ?)?"

_PANIC = re.compile(_LINUX + rb"Kernel panic - not syncing")
_FAILED = re.compile(_LINUX + rb"lab: FAILED")
#: The first program in dom0 that asks Xen for something by its control interface.
_REFUSED = re.compile(_LINUX + rb"lab: FAILED /usr/sbin/xen-init-dom0")
_ENDED = re.compile(_XEN + rb"Hardware Dom\d+ (?:halted|crashed|shutdown)")

#: Only Xen or dom0 can begin a line like this: what a debug Xen prints for a guest begins with
#: ``(d1)``. If dom0's console is ``hvc0``, its lines come on Xen's console too. The first of
#: these says most.
FAILURES = (
    Failure(Layer.XEN, "xen", re.compile(_XEN + rb"Panic on CPU"), "Xen panicked"),
    Failure(Layer.DOM0, "xen", _PANIC, "dom0's kernel panicked"),
    Failure(Layer.DOM0, "dom0", _PANIC, "dom0's kernel panicked"),
    Failure(Layer.TOOLSTACK, "xen", _REFUSED, "Xen refused dom0's tools"),
    Failure(Layer.TOOLSTACK, "dom0", _REFUSED, "Xen refused dom0's tools"),
    Failure(Layer.DOM0, "xen", _FAILED, "dom0 gave up"),
    Failure(Layer.DOM0, "dom0", _FAILED, "dom0 gave up"),
    Failure(Layer.DOM0, "xen", _ENDED, "dom0 ended"),
)


def crashed_in(line: RawLine) -> str:
    """The guest that crashed, as this line says; empty if it does not say so."""
    end = end_in(line)
    return end.guest if end and end.how == CRASHED else ""


def failure_in(line: RawLine, failures: Sequence[Failure] = FAILURES) -> Failure | None:
    """The failure that this line reports, if any."""
    for failure in failures:
        if failure.on == line.console and failure.pattern.search(line.raw):
            return failure
    return None


def worst(lines: Sequence[RawLine]) -> Failure:
    """The most telling failure in these lines; they must have at least one.

    A panic of dom0 comes on dom0's console, the news of its end on Xen's. Either may be read
    first.
    """
    return min(filter(None, map(failure_in, lines)), key=FAILURES.index)


def says_more(failure: Failure, known: Failure | None) -> bool:
    """Whether a failure tells more than the one that is already known."""
    return known is None or FAILURES.index(failure) < FAILURES.index(known)


@dataclass(frozen=True)
class AwaitedLine:
    """A pattern to wait for on one console."""

    on: str
    pattern: re.Pattern[str]

    @classmethod
    def text(cls, on: str, text: str) -> AwaitedLine:
        """Any line that contains exactly this text."""
        return cls(on, re.compile(re.escape(text)))

    def matches(self, line: RawLine) -> bool:
        return line.console == self.on and self.pattern.search(line.text) is not None


class WaitEnd(StrEnum):
    """What ended a wait."""

    SEEN = "seen"
    FAILED = "failed"
    STOPPED = "stopped"
    DEADLINE = "deadline"


@dataclass(frozen=True)
class Waited:
    """How a wait ended, at which line, after how many seconds.

    ``failure`` is set with ``FAILED``. ``STOPPED`` means that the stop event came (the
    machine ended) and the logs do not say why.
    """

    outcome: WaitEnd
    seconds: float
    line: RawLine | None = None
    failure: Failure | None = None


class Follower:
    """Follows several consoles as they grow, without polling. A context manager.

    The lines of each console come in order. Lines behind the one that ended a wait are kept for
    the next wait.
    """

    def __init__(self, files: Mapping[str, Path], offsets: Mapping[str, int] | None = None) -> None:
        starts = offsets or {}
        self._readers = [
            LogReader(name, path, starts.get(name, 0)) for name, path in files.items()
        ]  # fmt: skip
        self._waiting: deque[RawLine] = deque()
        self._inotify = waiting.open_inotify()

    def __enter__(self) -> Self:
        from asyncinotify import Mask  # slow to load, and most commands follow no console

        try:
            for folder in {reader.path.parent for reader in self._readers}:
                self._inotify.add_watch(folder, Mask.MODIFY | Mask.CREATE | Mask.MOVED_TO)
        except BaseException:
            waiting.let_go(self._inotify)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        waiting.let_go(self._inotify)
        for reader in self._readers:
            reader.close()

    def read(self) -> list[RawLine]:
        """The lines that are there now, without waiting; at most one portion of each log."""
        lines = list(self._waiting)
        self._waiting.clear()
        for reader in self._readers:
            lines += reader.read()
        return lines

    def partial(self) -> list[RawLine]:
        """The unfinished last line of each console that has one."""
        return [line for reader in self._readers if (line := reader.partial)]

    async def lines(self, deadline: Deadline, stop: asyncio.Event | None = None) -> list[RawLine]:
        """The next lines. Empty if the deadline passed, the stop event came, or only a part of
        a line arrived."""
        found = self.read()
        if not found and not deadline.passed():
            await self.change(deadline.left(), stop)
            found = self.read()
        return found

    async def wait_for(
        self,
        wanted: AwaitedLine,
        deadline: Deadline,
        stop: asyncio.Event | None = None,
        failures: Sequence[Failure] = FAILURES,
    ) -> Waited:
        """Wait for the wanted line, a failure, the stop event or the deadline.

        The logs count more than the stop event: if a machine ended after a panic, the wait ends
        with the panic. Lines after the wanted one are kept for the next wait.
        """
        start = Deadline(0)
        while True:
            ended = stop is not None and stop.is_set()
            late = deadline.passed()
            lines = self.read()
            if waited := self._look(wanted, lines, failures, start):
                if waited.outcome is WaitEnd.FAILED:
                    await self.aftermath(stop)
                return waited
            if ended and not lines:
                return Waited(WaitEnd.STOPPED, start.elapsed())
            if late:  # even if the lines never end
                return Waited(WaitEnd.DEADLINE, start.elapsed())
            await (asyncio.sleep(0) if lines else self.change(deadline.left(), stop))

    def _look(
        self,
        wanted: AwaitedLine,
        lines: Sequence[RawLine],
        failures: Sequence[Failure],
        start: Deadline,
    ) -> Waited | None:
        for line in lines:
            if failure := failure_in(line, failures):
                return Waited(WaitEnd.FAILED, start.elapsed(), line, failure)
        for i, line in enumerate(lines):
            if wanted.matches(line):
                self._waiting.extend(lines[i + 1 :])
                return Waited(WaitEnd.SEEN, start.elapsed(), line)
        for line in self.partial():
            if wanted.matches(line):
                return Waited(WaitEnd.SEEN, start.elapsed(), line)
        return None

    async def aftermath(self, stop: asyncio.Event | None) -> None:
        """Let the lines arrive that say why, so that they are in the log's tail."""
        grace = Deadline(AFTERMATH)
        while not grace.passed() and not (stop and stop.is_set()):
            await self.change(grace.left(), stop)

    async def change(self, seconds: float, stop: asyncio.Event | None) -> None:
        """Wait until a file grows, the stop event comes, or ``seconds`` have passed."""
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        loop.add_reader(self._inotify.fd, woken.set)
        waits = [asyncio.ensure_future(event.wait()) for event in (woken, stop) if event]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(self._inotify.fd)
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        if woken.is_set():
            await asyncio.sleep(min(SETTLE, seconds))
            # It does not matter which file grew: all are read.
            with contextlib.suppress(BlockingIOError):
                os.read(self._inotify.fd, 64 << 10)
