"""GDB on the page of a seat.

It is ``lab.debug`` on a terminal of its own. Its output goes to a log, which pages show like that
of a console. GDB can run programs, so it is confined: see ``confined`` in :mod:`lab.debug.launch`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import sys
import termios
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.util import files, process, waiting
from lab.web import commands
from lab.web.classroom import Seat

#: The name of its terminal among the consoles. Names of guests have small letters only.
NAME = "GDB"
#: Seconds that a session may take.
LONGEST = 3600.0
#: Seconds that it has to end after it was asked to.
ENDS = 10.0
#: The most bytes that a session may say.
MOST = 8 << 20
#: Rows and columns of a terminal that no page has measured yet.
SIZE = 24, 80
_PORTION = 16 << 10


class Debugger:
    """The debugger of a seat: one session at a time, which all its pages see.

    Attributes:
        on: whether a session runs.
        of: the labs file of its lab.
    """

    def __init__(self, seat: Seat, told: Callable[[], None]) -> None:
        """``told`` is called after each change, output included."""
        self._seat = seat
        self._told = told
        self.of = Path()
        self._size = SIZE
        self._terminal = -1
        self._left = 0
        self._work: asyncio.Task[None] | None = None

    @property
    def on(self) -> bool:
        return self._work is not None and not self._work.done()

    @property
    def log(self) -> Path:
        """What it has said in its last session."""
        return self._seat.folder / "debugger.log"

    def start(self, words: Sequence[str], labs: Path) -> None:
        """Begin a session, unless one runs: ``xenlab lab.debug WORD… --labs FILE``."""
        if not self.on:
            self.of = labs
            self._work = asyncio.ensure_future(self._session(words, labs))

    async def end(self) -> None:
        """End the session; the lab goes on. Who waits for that may be cancelled: it ends all the
        same."""
        if self._work:
            self._leave()
            await asyncio.wait([self._work])

    def _leave(self) -> None:
        """A session that is asked twice could not clean up."""
        if self._work and not self._work.cancelling():
            self._work.cancel()

    def type(self, text: str) -> None:
        """Type to GDB. What its terminal cannot take now is lost, as on any terminal."""
        with contextlib.suppress(OSError):
            if self.on:
                os.write(self._terminal, text.encode(errors="replace"))

    def resize(self, rows: int, columns: int) -> None:
        """Its terminal has this size on a page."""
        self._size = rows, columns
        if self.on:
            _set_size(self._terminal, self._size)

    async def _session(self, words: Sequence[str], labs: Path) -> None:
        files.write_private(self.log, "\033c")  # a terminal that begins anew
        self._left = MOST
        master, slave = os.openpty()
        os.set_blocking(master, False)
        _set_size(master, self._size)
        argv = [sys.executable, "-m", "lab", "lab.debug", *words, "--confined", "--labs", str(labs)]
        child = process.on_pty(argv, slave, env=commands.environment() | {"TERM": "xterm"})
        os.close(slave)
        self._terminal = master
        loop = asyncio.get_running_loop()
        loop.add_reader(master, self._read)
        try:
            async with asyncio.timeout(LONGEST):
                await waiting.ends(child.pid)
        except TimeoutError:
            self._say("[it took too long and was ended]")
        finally:
            await _ended(child)
            while self._read() and self._left > 0:
                pass
            loop.remove_reader(master)
            os.close(master)
            self._say("[the debugger has ended]")

    def _read(self) -> bool:
        """Take what the terminal shows; whether there was anything."""
        with contextlib.suppress(OSError):  # EIO: nobody has it open any more
            self._keep(data := os.read(self._terminal, _PORTION))
            return bool(data)
        return False

    def _keep(self, data: bytes) -> None:
        if self._left <= 0:
            return
        self._left -= len(data)
        files.append(self.log, data)
        self._told()
        if self._left <= 0:
            self._say("[it said too much and was ended]")
            self._leave()

    def _say(self, words: str) -> None:
        files.append(self.log, f"\r\n{words}\r\n".encode())
        self._told()


async def _ended(child: process.Child) -> None:
    """Have it end in order: it lets the lab go on. If it does not, it is killed."""
    if child.poll() is not None:
        return
    # As if the terminal was closed: GDB ends. lab.debug itself ends only after it.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGHUP)
    try:
        async with asyncio.timeout(ENDS):
            await waiting.ends(child.pid)
    except TimeoutError:
        process.end_group(child.pid)
    process.reap(child, ENDS)


def _set_size(terminal: int, size: tuple[int, int]) -> None:
    with contextlib.suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
