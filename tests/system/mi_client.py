"""A client of GDB's machine interface (gdb's documentation, "GDB/MI"), as editors are."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from types import TracebackType


class MiClient:
    """A GDB that speaks the machine interface. ``seen``: all that it said."""

    def __init__(self, argv: Sequence[str], cwd: str) -> None:
        self.gdb = subprocess.Popen(
            argv, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.seen: list[str] = []
        self._token = 0

    def __enter__(self) -> MiClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        where: TracebackType | None,
    ) -> None:  # fmt: skip
        self.gdb.kill()
        self.gdb.communicate()

    def do(self, command: str) -> str:
        """The result of a command: ``done,…`` or ``running``.

        Raises:
            AssertionError: it is an error, or GDB has ended.
        """
        self._token += 1
        assert self.gdb.stdin
        self.gdb.stdin.write(f"{self._token}{command}\n")
        self.gdb.stdin.flush()
        result = self.line(rf"{self._token}\^(.*)")
        assert not result.startswith("error"), (command, result)
        return result

    def stop(self) -> str:
        """The next stop: what follows ``*stopped,``."""
        return self.line(r"\*stopped,(.*)")

    def line(self, pattern: str) -> str:
        """The first group of the next line that matches."""
        assert self.gdb.stdout
        for line in self.gdb.stdout:
            self.seen.append(line)
            if found := re.match(pattern, line):
                return found[1].rstrip("\n")
        raise AssertionError("GDB has ended:\n" + "".join(self.seen[-20:]))
