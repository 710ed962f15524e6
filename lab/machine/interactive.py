"""A person's terminal on a console: what they type goes in, what it says comes out.

The console's log is followed and its FIFO written, so that a terminal that is stopped or slow
never holds up the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import Iterator
from pathlib import Path

from lab.errors import UsageError
from lab.machine.console import Follower
from lab.machine.lines import CHUNK
from lab.machine.wires import input_of
from lab.model import Program
from lab.util import reading, signals, waiting
from lab.util.terminal import ScreenFilter

#: Ctrl-], as in telnet, virsh and xl.
LEAVE = b"\x1d"
#: How much of what was said before is shown first, in bytes.
BEFORE = 2000


def attach(name: str, live: Path, log: Path, machine: Program) -> None:
    """Attach standard input and output to a console until Ctrl-], end of input, or its end.

    Raises:
        UsageError: the machine is gone, or standard input is a plain file.
    """
    try:
        fifo = os.open(input_of(live, name), os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(f"console {name} cannot be typed into: {error.strerror}") from error
    try:
        with _raw(sys.stdin.fileno()):  # first: what was typed before is discarded by it
            print(f"console of {name}; leave with Ctrl-]", end="\r\n", file=sys.stderr)
            signals.run(_relay(name, fifo, log, machine))
    finally:
        os.close(fifo)
    print("\nleft the console", file=sys.stderr)


async def _relay(name: str, fifo: int, log: Path, machine: Program) -> None:
    left = waiting.end_of(machine)
    loop = asyncio.get_running_loop()

    def typed() -> None:
        data = b""
        with contextlib.suppress(OSError):  # the terminal is gone: as at the end of input
            data = os.read(sys.stdin.fileno(), 4096)
        before, leave, _ = data.partition(LEAVE)
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(fifo, before)
        if leave or not data:
            left.set()

    try:
        loop.add_reader(sys.stdin.fileno(), typed)
    except PermissionError:
        raise UsageError("a console wants a terminal or a pipe as standard input") from None
    try:
        await _show(name, log, left)
    finally:
        loop.remove_reader(sys.stdin.fileno())
    if not machine.alive():
        print("\r\nthe machine has ended", file=sys.stderr, end="")


async def _show(name: str, log: Path, left: asyncio.Event) -> None:
    shown = ScreenFilter()
    with Follower({name: log}) as follower, reading.binary(log) as stream:
        stream.seek(max(0, log.stat().st_size - BEFORE))
        while not left.is_set():
            while data := stream.read(CHUNK):
                sys.stdout.write(shown.feed(data))
                sys.stdout.flush()
            await follower.change(waiting.FOREVER, left)


@contextlib.contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Keys go out as they are pressed; the terminal is as before afterwards."""
    if not os.isatty(terminal):
        yield
        return
    before = termios.tcgetattr(terminal)
    tty.setraw(terminal)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
