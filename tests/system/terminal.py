"""A command on a terminal of its own, as a person uses it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable

from system.world import ROOT, World

#: Seconds within which a command shows what it must.
LONGEST = 120.0


class Terminal:
    """A command on its own terminal."""

    def __init__(self, up: World, *words: str, size: tuple[int, int] = (24, 80)) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(self.slave)
        argv = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words]
        self.process = subprocess.Popen(
            argv, cwd=up.folder, stdin=self.slave, stdout=self.slave, stderr=self.slave,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 1),
        )  # fmt: skip
        self.seen = b""

    def until(self, words: bytes) -> None:
        """Read until this text was shown."""
        self.read(lambda: words in self.seen, f"{words!r} is shown")

    def read(self, enough: Callable[[], bool], what: str) -> None:
        """Read until it is enough, or fail because it is not so that ``what``."""
        end = time.monotonic() + LONGEST
        while not enough():
            assert time.monotonic() < end, f"it is not so that {what}: {self.seen[-500:]!r}"
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 4096)

    def resize(self, rows: int, columns: int) -> None:
        """Give the window this size. The program that runs in it is told."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def do(self, keys: bytes, words: bytes) -> None:
        """Press keys, and read until this text was shown after that."""
        self.seen = b""
        self.type(keys)
        self.until(words)

    def end(self) -> int:
        """Its exit status, which must come. The terminal must be as it was before."""
        try:
            self.read(lambda: self.process.poll() is not None, "the command ends")
            status = self.process.wait()
            assert termios.tcgetattr(self.slave) == self.before
        finally:
            self.process.kill()
            os.close(self.master)
            os.close(self.slave)
        return status
