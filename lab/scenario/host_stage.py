"""Plays a scenario on the host's clock: follows the consoles' logs as they grow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from lab.machine.console import Follower
from lab.machine.log_lines import RawLine
from lab.scenario.player import Hands, Player, Script
from lab.scenario.report import Report, StepResult
from lab.util.deadline import Deadline
from lab.util.waiting import FOREVER


class HostStage:
    """The stage on the host's clock. Times are seconds of that clock since the guests run."""

    def __init__(self, follower: Follower, clock: Deadline, stop: asyncio.Event | None) -> None:
        self._follower = follower
        self._clock = clock
        self._stop = stop

    def now(self) -> float:
        return self._clock.elapsed()

    def ended(self) -> bool:
        return self._stop is not None and self._stop.is_set()

    def read(self) -> tuple[list[RawLine], list[RawLine]]:
        return self._follower.read(), self._follower.partial()

    def begin(self) -> None:
        pass

    async def wait(self, until: float, done: asyncio.Future[Any] | None) -> None:
        left = min(FOREVER, max(0.0, until - self.now()))
        change = asyncio.ensure_future(self._follower.change(left, self._stop))
        try:
            await asyncio.wait([change, done] if done else [change],
                               return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
        finally:
            change.cancel()
            await asyncio.gather(change, return_exceptions=True)

    async def aftermath(self, *, alive: bool) -> None:
        del alive  # the last lines are worth waiting for even if dom0 is gone
        await self._follower.aftermath(self._stop)


async def watch(
    script: Script,
    *,
    stop: asyncio.Event | None = None,
    hands: Hands | None = None,
    note: Callable[[StepResult], None] = lambda _: None,
) -> Report:
    """Play a script until it is decided. Call it at the moment at which the guests begin to run.

    The logs are read from their start, so no line is missed. ``stop`` is set when the machine
    has ended. ``hands`` do to the lab what a step asks for. ``note`` is called with the result
    of each step.
    """
    with Follower(script.consoles) as follower:
        stage = HostStage(follower, Deadline(0), stop)
        return await Player(script, stage, hands, note).play()
