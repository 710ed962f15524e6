"""Connects a person's terminal to a console.

Keys go into the console's FIFO, and the terminal shows the console's log as it grows. So a
terminal that is stopped or slow never holds up the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lab.errors import LabError, UsageError
from lab.machine import shared_console
from lab.machine.console import Follower
from lab.machine.console_files import input_of
from lab.machine.guest_ends import EndWatch
from lab.model import Program
from lab.util import reading, signals, waiting
from lab.util.screen import ScreenFilter

#: Ctrl-], as in telnet, virsh and xl.
LEAVE = b"\x1d"
#: Bytes of earlier output that are shown first.
BEFORE = 2000
OTHER_SCREEN_ENDS = b"\x1b[?1049l"
#: Bytes that are shown at a time. Between two portions the keyboard is read.
PORTION = 16 << 10
#: A terminal that is behind by more than ``BEHIND`` bytes is shown only the last ``LAST`` of them.
BEHIND, LAST = 1 << 20, 64 << 10
#: The most typed bytes that wait until the machine takes them.
MOST_TYPED = 1 << 20
#: How often the window's size is sent if that fails, and the seconds between two tries.
TRIES, AGAIN = 5, 1.0


@dataclass(frozen=True)
class Behind:
    """What a terminal does for the programs behind a console.

    Attributes:
        answers: answer programs that ask the terminal a question, such as where the cursor is.
            Not where input must not depend on who is looking.
        resized: tells the programs the window's size: rows and columns.
        ends: says when the guest ends, since it shows nothing more after that.
        typed: takes what is typed, if the console's FIFO does not.
    """

    answers: bool = True
    resized: Callable[[int, int], Awaitable[None]] | None = None
    ends: EndWatch | None = None
    typed: Callable[[bytes], Awaitable[None]] | None = None


def attach(
    name: str, live: Path, log: Path, machine: Program, behind: Behind | None = None
) -> None:
    """Attach standard input and output to a console until Ctrl-], end of input, or its end.

    Raises:
        UsageError: the machine is gone, or standard input is a plain file.
    """
    behind = behind or Behind()
    try:
        where = Path(os.devnull) if behind.typed else input_of(live, name)
        fifo = os.open(where, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(f"console {name} cannot be typed into: {error.strerror}") from error
    attached = _Attached(name, fifo, behind)
    try:
        with _raw(sys.stdin.fileno()):  # first, because it discards what was typed before
            print(f"console of {name}; leave with Ctrl-]", end="\r\n", file=sys.stderr)
            try:
                signals.run(attached.relay(log, machine))
            finally:
                _write(attached.screen.restore())
    finally:
        os.close(fifo)
    print("\nleft the console", file=sys.stderr)


class _Attached:
    """One terminal on one console."""

    def __init__(self, name: str, fifo: int, behind: Behind) -> None:
        self.screen = ScreenFilter(*_size())
        self._name = name
        self._fifo = fifo
        self._consoles = Path()
        self._behind = behind
        self._typed = bytearray()
        self._left = asyncio.Event()
        self._resized = asyncio.Event()
        self._carrying = asyncio.Lock()
        self._carriers: set[asyncio.Task[None]] = set()

    async def relay(self, log: Path, machine: Program) -> None:
        self._left = waiting.end_of(machine)
        loop = asyncio.get_running_loop()
        stdin = sys.stdin.fileno()
        try:
            loop.add_reader(stdin, self._read)
        except PermissionError:
            raise UsageError("standard input must be a terminal or a pipe") from None
        loop.add_signal_handler(signal.SIGWINCH, self._resize)
        telling = asyncio.ensure_future(self._tell_size())
        try:
            await self._show(log)
        finally:
            loop.remove_reader(stdin)
            loop.remove_writer(self._fifo)
            loop.remove_signal_handler(signal.SIGWINCH)
            telling.cancel()
            await asyncio.gather(telling, *self._carriers, return_exceptions=True)
        if not machine.alive():
            print("\r\nthe machine has ended", file=sys.stderr, end="")

    # ------------------------------------------------------------ what is typed

    def _read(self) -> None:
        data = b""
        with contextlib.suppress(OSError):  # the terminal is gone: the end of input
            data = os.read(sys.stdin.fileno(), 4096)
        before, leave, _ = data.partition(LEAVE)
        self._type(before)
        if leave or not data:
            self._left.set()

    def _type(self, data: bytes) -> None:
        self._typed += data[: MOST_TYPED - len(self._typed)]
        self._send()

    def _send(self) -> None:
        """Send as much as the machine takes now; the rest waits."""
        if self._behind.typed:
            self._carriers.add(asyncio.ensure_future(self._carry(self._behind.typed)))
            return
        loop = asyncio.get_running_loop()
        try:
            while self._typed:
                del self._typed[: os.write(self._fifo, self._typed)]
        except BlockingIOError:
            loop.add_writer(self._fifo, self._send)
            return
        except BrokenPipeError:
            self._typed.clear()
        loop.remove_writer(self._fifo)

    async def _carry(self, take: Callable[[bytes], Awaitable[None]]) -> None:
        """Have all that was typed so far taken."""
        async with self._carrying:
            data = bytes(self._typed)
            self._typed.clear()
            try:
                if data:
                    await take(data)
            except LabError as error:
                print(f"\r\n{error.message}", end="\r\n", file=sys.stderr)

    # ------------------------------------------------------------ what is shown

    async def _show(self, log: Path) -> None:
        ends = self._behind.ends
        self._consoles = log.parent
        shared_console.bring(self._consoles)
        logs = {self._name: log} | ({"dom0": ends.log} if ends else {})
        with Follower(logs) as follower, reading.binary(log) as stream:
            _write(self.screen.feed(_last_lines(_recent(stream), *_size())))
            self.screen.answers()  # these questions are old
            while not self._left.is_set():
                self._catch_up(stream)
                while not self._left.is_set() and (data := stream.read(PORTION)):
                    _write(self.screen.feed(data))
                    self._answer()
                    await asyncio.sleep(0)
                    self._catch_up(stream)
                if ends and (said := ends.news()):
                    _write(self.screen.flush())
                    _write(f"\r\n{said}; leave with Ctrl-]\r\n")
                await follower.change(waiting.FOREVER, self._left)

    def _answer(self) -> None:
        answers = self.screen.answers()
        if self._behind.answers:
            self._type(answers)

    def _catch_up(self, stream: BinaryIO) -> None:
        """Skip output if the terminal is far behind."""
        shared_console.bring(self._consoles)
        left_out = os.fstat(stream.fileno()).st_size - stream.tell()
        if left_out > BEHIND:
            stream.seek(left_out - LAST, os.SEEK_CUR)
            left_out += len(stream.readline(PORTION)) - LAST
            _write(self.screen.flush())
            _write(f"\r\n[{left_out} bytes are not shown; the log has them]\r\n")

    # ------------------------------------------------------------ the window

    def _resize(self) -> None:
        self.screen.cursor.resize(*_size())
        self._resized.set()

    async def _tell_size(self) -> None:
        """Tell the programs behind the console each new size of the window, if they listen."""
        told = self._behind.resized
        if told is None or not os.isatty(sys.stdout.fileno()):
            return
        while True:
            self._resized.clear()
            for _ in range(TRIES):
                with contextlib.suppress(LabError, OSError):
                    await told(*_size())
                    break
                await asyncio.sleep(AGAIN)
            await self._resized.wait()


def _size() -> tuple[int, int]:
    """The rows and columns of the window; 24 and 80 if they are not known."""
    try:
        columns, rows = os.get_terminal_size(sys.stdout.fileno())
    except OSError:
        return 24, 80
    return rows or 24, columns or 80


def _recent(stream: BinaryIO) -> bytes:
    """The last earlier output, from the beginning of a line on.

    What a full-screen program drew before it ended is left out.
    """
    start = stream.seek(0, os.SEEK_END) - BEFORE
    stream.seek(max(0, start))
    if start > 0:
        stream.readline(BEFORE)
    return stream.read(BEFORE).rpartition(OTHER_SCREEN_ENDS)[2]


def _last_lines(said: bytes, rows: int, columns: int) -> bytes:
    """As many of the last lines as fit below the line that says how to leave."""
    kept = said.splitlines(keepends=True)
    heights = [1 + len(line.rstrip()) // columns for line in kept]
    while sum(heights) > max(1, rows - 2) and len(kept) > 1:
        del kept[0], heights[0]
    return b"".join(kept)


def _write(text: str) -> None:
    out = sys.stdout
    out.write(text.encode(out.encoding, "backslashreplace").decode(out.encoding))
    out.flush()


@contextlib.contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Read each key as it is pressed; afterwards the terminal is as it was."""
    if not os.isatty(terminal):
        yield
        return
    before = termios.tcgetattr(terminal)
    tty.setraw(terminal)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
