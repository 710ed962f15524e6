"""Runs programs through dom0's agent without keeping other commands from it.

A program may take as long as its time limit. Then it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeAlias

from lab.dom0.agent import LONGEST_PAUSE, TURN, Agent, Endless, ProgramResult
from lab.errors import BusyError, LabError, UsageError
from lab.util.deadline import Deadline
from lab.util.terminal import escape, quote

#: Connects to the agent. The argument: the most seconds that it waits for a turn.
Connect: TypeAlias = Callable[[float], contextlib.AbstractAsyncContextManager[Agent]]

#: The longest time that one command keeps the agent, in seconds.
LONGEST_TURN = 1.0
#: Seconds that dom0 has to kill a program that is late, and one that nobody waits for any more.
LATE, GIVEN_UP = 3.0, 1.0
#: Precedes a program: puts it and its children into one process group, which can be killed.
GROUP = ("busybox", "setsid")


async def run_in_turns(
    connect: Connect,
    argv: Sequence[str],
    within: float,
) -> ProgramResult:
    """Run a program and wait for its end, without keeping others from the agent.

    The agent has one connection at a time, so this gives it up again and again. If the program is
    late, or the caller gives up, dom0 kills it and its children.

    ``within`` seconds are the limit for everything, with the wait for the agent.

    Raises:
        BusyError: others had the agent all the time.
        UsageError: dom0 has no such program.
        Endless: the program did not end within ``within`` seconds.
    """
    deadline = Deadline(within)
    pid = None
    try:
        async with connect(within) as agent:
            pid = await agent.begin([*GROUP, *argv])
            result = await agent.result(pid, argv, min(deadline.left(), LONGEST_TURN))
        while result is None and not deadline.passed():
            await asyncio.sleep(min(LONGEST_PAUSE, deadline.left()))
            with contextlib.suppress(BusyError):  # the deadline has passed: see below
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
    """dom0 through its agent, for several requests in a row, while others want the agent too.

    A new connection costs a tenth of a second, so one is kept from request to request, but for
    no longer than :data:`LONGEST_TURN`.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._stack = contextlib.AsyncExitStack()
        self._agent: Agent | None = None
        self._turn = Deadline(LONGEST_TURN)

    async def run(self, argv: Sequence[str], *, within: float = 60.0) -> ProgramResult:
        """Run a program and wait for its end; see :func:`run_in_turns`."""
        return await run_in_turns(self._lent, argv, within)

    async def write_file(self, path: str, data: bytes) -> None:
        """Write a file in dom0. Its folder must exist."""
        async with self._lent() as agent:
            await agent.write_file(path, data)

    async def write_at(self, path: str, at: int, data: bytes) -> None:
        """Write bytes of a file in dom0 from the offset ``at`` on; the file ends behind them."""
        async with self._lent() as agent:
            await agent.write_at(path, at, data)

    async def read_file(self, path: str, largest: int = 64 << 20) -> bytes:
        """Read the first ``largest`` bytes of a file in dom0."""
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
    """Whether busybox (``setsid``, ``timeout``) reports that it could not execute a program."""
    words = f": can't execute '{program}': ".encode()
    return result.status in (126, 127) and words in result.stderr.split(b"\n")[0]


async def _ended(
    connect: Connect,
    pid: int,
    argv: Sequence[str],
    within: float,
) -> Endless:
    """Kill a program that is late. Returns the error to raise."""
    try:
        said = await _kill(connect, pid, argv, LATE)
    except (LabError, TimeoutError):
        return Endless(argv, within)
    words = last_words(said) if said else ""
    return Endless(argv, within, words, "it was killed; allow it more time (--timeout)")


async def _kill(
    connect: Connect,
    pid: int,
    argv: Sequence[str],
    within: float,
) -> ProgramResult | None:
    """Kill a program and its group. Returns its result, if it has ended."""
    async with asyncio.timeout(within), connect(within) as agent:
        await agent.run(["busybox", "kill", "-KILL", f"-{pid}"], within=within)
        return await agent.result(pid, argv, within)


def last_words(result: ProgramResult, lines: int = 15) -> str:
    """The last lines that a program wrote, escaped."""
    text = (result.stderr + result.stdout).decode(errors="replace")
    return "\n".join(escape(line) for line in text.splitlines()[-lines:])
