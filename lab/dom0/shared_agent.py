"""Commands in dom0 that somebody else asks for: they take what time they have, and then end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeAlias

from lab.dom0.agent import LONGEST_PAUSE, TURN, Agent, Endless, ProgramResult
from lab.errors import BusyError, LabError, UsageError
from lab.util.deadline import Deadline
from lab.util.terminal import escape, quote

#: A connection to the agent, which one waits for so many seconds.
Connect: TypeAlias = Callable[[float], contextlib.AbstractAsyncContextManager[Agent]]

#: Seconds for which one command may keep the agent for itself.
LONGEST_TURN = 1.0
#: Seconds that dom0 has to end what took too long, and what nobody waits for any more.
LATE, GIVEN_UP = 3.0, 1.0
#: Before a command: makes it and its children a group, which can be ended as a whole.
GROUP = ("busybox", "setsid")


async def run_in_turns(
    connect: Connect,
    argv: Sequence[str],
    within: float,
) -> ProgramResult:
    """Run a program to its end, however long it takes, without keeping others from the agent.

    The agent has one connection; a second one waits until the first is closed. What is late, or
    given up by whoever waits, is killed in dom0, with its children.

    ``within`` seconds are all that it has: the wait for the agent is part of them.

    Raises:
        BusyError: others had the agent for so long.
        UsageError: dom0 has no such program.
        Endless: it did not end within ``within`` seconds.
    """
    deadline = Deadline(within)
    pid = None
    try:
        async with connect(within) as agent:
            pid = await agent.begin([*GROUP, *argv])
            result = await agent.result(pid, argv, min(deadline.left(), LONGEST_TURN))
        while result is None and not deadline.passed():
            await asyncio.sleep(min(LONGEST_PAUSE, deadline.left()))
            with contextlib.suppress(BusyError):  # the deadline has passed, and says so below
                async with connect(deadline.left()) as agent:
                    result = await agent.result(pid, argv, 0)
    except asyncio.CancelledError:
        with contextlib.suppress(LabError, TimeoutError):
            if pid is not None:
                await _kill(connect, pid, argv, GIVEN_UP)
        raise
    if result is None:
        raise await _ended(connect, pid, argv, within)
    if is_absent(argv[0], result):
        raise UsageError(f"dom0 has no program {quote(argv[0])}")
    return result


class SharedAgent:
    """dom0 through its agent, for several things in a row, among others who want it too.

    A connection is kept from one thing to the next, as a new one costs a tenth of a second, but
    for no longer than :data:`LONGEST_TURN`.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._stack = contextlib.AsyncExitStack()
        self._agent: Agent | None = None
        self._turn = Deadline(LONGEST_TURN)

    async def run(self, argv: Sequence[str], *, within: float = 60.0) -> ProgramResult:
        """Run a program to its end; see :func:`run_in_turns`."""
        return await run_in_turns(self._lent, argv, within)

    async def write_file(self, path: str, data: bytes) -> None:
        """Write a file in dom0; its folder must exist."""
        async with self._lent() as agent:
            await agent.write_file(path, data)

    async def read_file(self, path: str, largest: int = 64 << 20) -> bytes:
        """Read a file of dom0, at most ``largest`` bytes of it."""
        async with self._lent() as agent:
            return await agent.read_file(path, largest)

    async def aclose(self) -> None:
        """Let others have the agent."""
        self._agent = None
        await self._stack.aclose()

    @contextlib.asynccontextmanager
    async def _lent(self, patience: float = TURN) -> AsyncIterator[Agent]:
        if self._agent is None:
            self._agent = await self._stack.enter_async_context(self._connect(patience))
            self._turn = Deadline(LONGEST_TURN)
        try:
            yield self._agent
        except BaseException:
            await self.aclose()
            raise
        if self._turn.passed():
            await self.aclose()


def is_absent(program: str, result: ProgramResult) -> bool:
    """Whether busybox (``setsid``, ``timeout``) says that it could not execute a program."""
    words = f": can't execute '{program}': ".encode()
    return result.status in (126, 127) and words in result.stderr.split(b"\n")[0]


async def _ended(
    connect: Connect,
    pid: int,
    argv: Sequence[str],
    within: float,
) -> Endless:
    """End a program that is late; the error that says so."""
    try:
        said = await _kill(connect, pid, argv, LATE)
    except (LabError, TimeoutError):
        return Endless(argv, within)
    words = last_words(said) if said else ""
    return Endless(argv, within, words, "it was killed; give it more time")


async def _kill(
    connect: Connect,
    pid: int,
    argv: Sequence[str],
    within: float,
) -> ProgramResult | None:
    """Kill a program and its group; what it said, if it ended of that."""
    async with asyncio.timeout(within), connect(within) as agent:
        await agent.run(["busybox", "kill", "-KILL", f"-{pid}"], within=within)
        return await agent.result(pid, argv, within)


def last_words(result: ProgramResult, lines: int = 15) -> str:
    """The last lines that a program said, harmless to print."""
    text = (result.stderr + result.stdout).decode(errors="replace")
    return "\n".join(escape(line) for line in text.splitlines()[-lines:])
