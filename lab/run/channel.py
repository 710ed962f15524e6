"""The ways to speak to dom0: at a stop of the machine, or through its agent while it runs.

A session uses whichever fits the machine's state, and the rest of the code need not know which. A
lab without dom0 has a way of its own, which says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

from lab.dom0 import domain_list, shared_agent, xl
from lab.dom0.agent import Dom0, ProgramResult
from lab.dom0.shared_agent import Connect
from lab.dom0.steps import Steps
from lab.errors import UsageError
from lab.model import Domain


class Channel(Protocol):
    """How dom0 is spoken to now.

    Attributes:
        counter: dom0's counter at this stop; ``None`` while the machine runs by itself, or
            before the counter's frequency is known.
    """

    @property
    def counter(self) -> int | None: ...

    def opened(self) -> AbstractAsyncContextManager[Dom0]:
        """dom0, for several requests in a row."""

    async def execute(self, argv: Sequence[str], within: float) -> ProgramResult:
        """Run a program in dom0, for at most ``within`` seconds of the host.

        Raises:
            Dom0Error: it did not end in time, or dom0 does not answer.
        """

    async def domains(self) -> list[Domain]:
        """The domains that exist now; Domain-0 is the first."""


class AtStop:
    """dom0 while the machine stands still: it runs only to carry out what it is told."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    @property
    def counter(self) -> int | None:
        return self.steps.box.counter if self.steps.box.frequency else None

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Dom0]:
        yield self.steps

    async def execute(self, argv: Sequence[str], within: float) -> ProgramResult:
        return await self.steps.run(argv, within=within)

    async def domains(self) -> list[Domain]:
        return await xl.domains(self.steps)


class ByAgent:
    """dom0 while it runs by itself: its agent takes one connection at a time.

    ``guarded`` ends a wait as soon as the machine is lost. ``live`` is the lab's folder.
    """

    def __init__(
        self, connect: Connect, live: Path, guarded: Callable[[Awaitable[Any]], Awaitable[Any]]
    ) -> None:
        self._connect = connect
        self._live = live
        self._guarded = guarded

    @property
    def counter(self) -> None:
        return None

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Dom0]:
        async with contextlib.aclosing(shared_agent.SharedAgent(self._connect)) as agent:
            yield agent

    async def execute(self, argv: Sequence[str], within: float) -> ProgramResult:
        """As in :class:`Channel`; the wait for the agent is part of ``within``.

        Raises:
            BusyError: others had the agent all the time. UsageError: dom0 has no such program.
        """
        step = shared_agent.run_in_turns(self._connect, argv, within)
        found: ProgramResult = await self._guarded(step)
        return found

    async def domains(self) -> list[Domain]:
        found: list[Domain] = await self._guarded(domain_list.domains(self._live))
        return found


class NoDom0:
    """A lab without dom0. ``made``: the domains that Xen made; nobody can ask how they are."""

    def __init__(self, made: Sequence[Domain]) -> None:
        self._made = made

    @property
    def counter(self) -> None:
        return None

    def opened(self) -> AbstractAsyncContextManager[Dom0]:
        """Raise UsageError, as there is none."""
        raise no_dom0()

    async def execute(self, argv: Sequence[str], within: float) -> ProgramResult:
        """Raise UsageError, as there is none."""
        del argv, within
        raise no_dom0()

    async def domains(self) -> list[Domain]:
        return list(self._made)


def need_dom0(channel: Channel) -> None:
    """Raise UsageError if there is no dom0."""
    if isinstance(channel, NoDom0):
        raise no_dom0()


def no_dom0() -> UsageError:
    """What somebody asks for needs dom0, and the lab has none."""
    return UsageError(
        "this needs dom0, and the lab has none: labs.yaml has 'dom0: false'",
        hint="what its guests and Xen say is in lab.logs",
    )
