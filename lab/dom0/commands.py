"""Commands in dom0 that somebody else asks for: they take what time they have, and then end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

from lab.dom0.agent import LONGEST_PAUSE, Agent, Endless, Result
from lab.errors import LabError, UsageError
from lab.util.deadline import Deadline
from lab.util.terminal import escape, quote

Connect: TypeAlias = Callable[[], contextlib.AbstractAsyncContextManager[Agent]]

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
) -> Result:
    """Run a program to its end, however long it takes, without keeping others from the agent.

    The agent has one connection; a second one waits until the first is closed. What is late, or
    given up by whoever waits, is killed in dom0, with its children.

    Raises:
        UsageError: dom0 has no such program.
        Endless: it did not end within ``within`` seconds.
    """
    deadline = Deadline(within)
    pid = None
    try:
        async with connect() as agent:
            pid = await agent.begin([*GROUP, *argv])
            result = await agent.result(pid, argv, min(within, LONGEST_TURN))
        while result is None and not deadline.passed():
            await asyncio.sleep(min(LONGEST_PAUSE, deadline.left()))
            async with connect() as agent:
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


def is_absent(program: str, result: Result) -> bool:
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
) -> Result | None:
    """Kill a program and its group; what it said, if it ended of that."""
    async with asyncio.timeout(within), connect() as agent:
        await agent.run(["busybox", "kill", "-KILL", f"-{pid}"], within=within)
        return await agent.result(pid, argv, within)


def last_words(result: Result, lines: int = 15) -> str:
    """The last lines that a program said, harmless to print."""
    text = (result.stderr + result.stdout).decode(errors="replace")
    return "\n".join(escape(line) for line in text.splitlines()[-lines:])
