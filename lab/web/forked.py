"""Starts the lab's own commands: forked of a process that is ready for that, or as new programs.

A command is the same in both cases. A new program has to load Python and our modules first, which
takes half a second. :mod:`lab.util.forking` is the conversation with the process that is ready.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO

from lab.errors import LabError
from lab.util import forking, process, waiting

#: How every command line begins.
PROGRAM = (sys.executable, "-m", "lab")
#: Seconds that a child has to answer before a new program is started instead.
ANSWERS = 5.0
#: Seconds in which the status of a command that has ended must be there.
TOLD = 30.0
#: The least seconds between two beginnings of the process of which commands are forked.
AGAIN = 5.0
#: Room for the arguments of a command, which its process shows instead of this.
ROOM = " " * 2000


class Fresh:
    """A command that is a new program; ``pid``: it leads a process group of that number."""

    def __init__(self, words: Sequence[str], log: IO[bytes], env: Mapping[str, str]) -> None:
        self._child = process.spawn([*PROGRAM, *words], log_to=log, env=env)
        self.pid = self._child.pid

    async def ended(self) -> None:
        """Wait until it has ended."""
        await waiting.ends(self.pid)

    async def status(self) -> int | None:
        """The exit status of one that has ended; ``None`` if nobody knows it."""
        return process.reap(self._child, TOLD)

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        with contextlib.suppress(ProcessLookupError):
            self._child.terminate()

    def close(self) -> None:
        """We want to know nothing more of it."""


class Forked:
    """A command that was forked: the same as :class:`Fresh`."""

    def __init__(self, pid: int, handle: int, answers: socket.socket) -> None:
        self.pid = pid
        self._handle = handle
        self._answers = answers

    async def ended(self) -> None:
        await waiting.readable(self._handle)

    async def status(self) -> int | None:
        with contextlib.suppress(OSError, ValueError):
            async with asyncio.timeout(TOLD):
                await waiting.readable(self._answers.fileno())
            return int(self._answers.recv(64))
        return None

    def terminate(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGTERM)

    def close(self) -> None:
        os.close(self._handle)
        self._answers.close()


class Forks:
    """The process of which commands are forked. It takes orders on the socket ``control``.

    If it has died, another one begins when the next command is asked for. That command is a new
    program, and so are those after it until the other one is ready.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        """``env``: the environment of the commands."""
        self._env = env
        self._begin()

    def _begin(self) -> None:
        self._begun = time.monotonic()
        self._is_ready, self._has_ended = False, False
        self.control, theirs = forking.pair()
        self.control.setblocking(False)
        with theirs, tempfile.TemporaryFile() as log:
            argv = [*PROGRAM, "--forks", str(theirs.fileno()), ROOM]
            self._child = process.spawn(argv, log_to=log, env=self._env, keep_fds=[theirs.fileno()])

    @property
    def pid(self) -> int:
        """Its number."""
        return self._child.pid

    @property
    def ready(self) -> bool:
        """Whether it can take orders, as far as is known."""
        try:
            if found := self.control.recv(64):
                self._is_ready = found == forking.READY
            else:
                self._has_ended = True
        except BlockingIOError:  # it has said nothing more
            pass
        except OSError:  # it has not read all orders
            self._has_ended = True
        return self._is_ready and not self._has_ended

    async def command(
        self, words: Sequence[str], log: IO[bytes], limit: Callable[[int], None]
    ) -> Forked | None:
        """Begin a command; ``None`` if that cannot be done now. ``limit`` gets its number before it
        begins."""
        found = await self._ordered(words, log, limit) if self.ready else None
        if found is None:
            self._begin_again()
        return found

    def _begin_again(self) -> None:
        """Begin anew if it has died, but not in a loop if it always dies at once."""
        if self.ready or not self._has_ended or time.monotonic() < self._begun + AGAIN:
            return
        with contextlib.suppress(LabError, OSError):  # then the command itself says why
            self.end()
            self._begin()

    async def _ordered(
        self, words: Sequence[str], log: IO[bytes], limit: Callable[[int], None]
    ) -> Forked | None:
        ours, theirs = forking.pair()
        with contextlib.ExitStack() as stack:
            stack.enter_context(ours)
            with contextlib.suppress(OSError, ValueError):
                with theirs:
                    forking.order(self.control, words, log.fileno(), theirs)
                async with asyncio.timeout(ANSWERS):
                    await waiting.readable(ours.fileno())
                said, handles, _, _ = socket.recv_fds(ours, 64, 1)
                for handle in handles:
                    stack.callback(os.close, handle)
                pid = int(said)
                limit(pid)
                ours.send(forking.GO)
                stack.pop_all()
                return Forked(pid, handles[0], ours)
        return None

    def end(self) -> None:
        """End it. Commands that have begun go on."""
        self.control.close()
        self._child.kill()
        self._child.wait()


@contextlib.contextmanager
def forks(env: Mapping[str, str]) -> Iterator[Forks]:
    """A process of which commands are forked, while the block runs."""
    found = Forks(env)
    try:
        yield found
    finally:
        found.end()
