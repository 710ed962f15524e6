"""A conversation with one console: finds text from a position on, and types.

The position is behind the last match. So no output between two searches is missed, and none is
matched twice.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import MachineError
from lab.machine.console import Follower
from lab.machine.log_lines import LogReader, RawLine
from lab.util import turns
from lab.util.deadline import Deadline
from lab.util.patterns import Match, Pattern

#: A line without an end counts when nothing has come for this many seconds: then it is a prompt,
#: not the beginning of a longer line.
QUIET = 0.1
#: Seconds within which a console must take typed input.
TYPED = 10.0


@dataclass(frozen=True, order=True)
class Position:
    """A place in a log: behind ``used`` characters of the line that begins at byte ``offset``."""

    offset: int = 0
    used: int = 0


@dataclass(frozen=True)
class Found:
    """A line that matched, and the position behind the match."""

    line: RawLine
    position: Position
    match: Match = field(compare=False)


async def find(log: Path, start: Position, pattern: Pattern, deadline: Deadline) -> Found | None:
    """The first match from a position on; ``None`` if there is none by the deadline.

    A match lies within one line. Lines that are there when the deadline passes are searched, too.
    """
    unfinished, quiet = None, Deadline(QUIET)
    with Follower({log.stem: log}, {log.stem: start.offset}) as follower:
        while True:
            late = deadline.passed()
            lines = follower.read()
            for line in lines:
                if found := _look(line, start, pattern, whole=True):
                    return found
            if lines and not late:
                await asyncio.sleep(0)
                continue
            partial = [_look(line, start, pattern, whole=False) for line in follower.partial()]
            found = partial[0] if partial else None
            if late or (found and found == unfinished and quiet.passed()):
                return found
            if found != unfinished:
                unfinished, quiet = found, Deadline(QUIET)
            left = deadline.left()
            await follower.change(min(quiet.left(), left) if found else left, None)


def _look(line: RawLine, start: Position, pattern: Pattern, *, whole: bool) -> Found | None:
    used = start.used if line.offset == start.offset else 0
    if used and used >= len(line.text) and whole:
        return None  # all of the line is used
    match = pattern.search(line.text, used)
    return Found(line, Position(line.offset, match.end()), match) if match else None


def end_of(log: Path) -> Position:
    """The position behind all output until now."""
    reader = LogReader(log.stem, log)
    try:
        last = Position()
        while lines := reader.read():
            last = Position(lines[-1].offset, len(lines[-1].text))
        partial = reader.partial
        return Position(partial.offset, len(partial.text)) if partial else last
    finally:
        reader.close()


async def type_into(fifo: Path, data: bytes) -> None:
    """Type into a console. If several commands type at once, one comes after the other.

    Raises:
        BusyError: others typed for ``TYPED`` seconds; the error names one of them.
        MachineError: the machine is gone, or does not take the input within ``TYPED`` seconds.
    """
    name = fifo.stem
    try:
        turn = await turns.take(turns.of(fifo), f"the keyboard of {name}", TYPED)
    except OSError as error:
        raise MachineError(f"{name} cannot be typed into: {error.strerror}") from error
    try:
        await _type(fifo, data)
    finally:
        turn.end()


async def _type(fifo: Path, data: bytes) -> None:
    name = fifo.stem
    try:
        handle = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        raise MachineError(f"{name} cannot be typed into: {error.strerror}") from error
    try:
        async with asyncio.timeout(TYPED):
            while data:
                try:
                    data = data[os.write(handle, data) :]
                except BlockingIOError:
                    await _writable(handle)
    except (TimeoutError, BrokenPipeError) as error:
        raise MachineError(f"{name} did not accept the typed input within {TYPED:g} s") from error
    finally:
        os.close(handle)


async def _writable(handle: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(handle, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(handle)
