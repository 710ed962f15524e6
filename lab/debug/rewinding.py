"""Goes through a run that is replayed, forwards and backwards.

A replay only goes forwards, and any place in it has a number: how many instructions were executed.
To go back is to begin anew and to stop earlier. Where a breakpoint was hit last is found on the way
there: all hits are seen, and the last one is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

#: How many instructions before a place are searched first, and how many times as many next.
FIRST, GROWTH = 1_000_000, 16
#: Hits that are seen one by one. With more, the middle of what lies ahead is tried first.
MANY = 200
#: Instructions that are searched however many hits they have.
NARROW = 20_000
WATCHED = b"watch:"


class Replayed(Protocol):
    """A machine that replays (:class:`lab.run.replay.Replay`).

    Attributes:
        now: the number of the place where it stands. ``begin``: that of its first place.
    """

    now: int
    begin: int

    async def stand_at(self, at: int, wish: asyncio.Event | None = None) -> None: ...
    async def run_to(self, at: int, wish: asyncio.Event) -> bytes: ...


@dataclass(frozen=True)
class Stop:
    """A place at which GDB is to stand.

    Attributes:
        report: what QEMU's gdbstub said of the hit; empty: nothing was hit on the way.
        wished: somebody wanted the machine to stop.
    """

    at: int
    report: bytes = b""
    wished: bool = False


@dataclass(frozen=True)
class Breakpoints:
    """GDB's breakpoints and watchpoints.

    Attributes:
        arm: sets them in the machine, or removes them.
        counts: whether a hit counts, by the gdbstub's report. The machine stands there.
    """

    arm: Callable[[bool], Awaitable[None]]
    counts: Callable[[bytes], Awaitable[bool]]


class Rewinder:
    """Moves a replay. ``end``: the last place that can be reached."""

    def __init__(self, replay: Replayed, end: int) -> None:
        self.replay = replay
        self.end = end

    async def step(self) -> Stop | None:
        """Execute one instruction; ``None``: the replay ends here."""
        if self.replay.now >= self.end:
            return None
        await self.replay.stand_at(self.replay.now + 1)
        return Stop(self.replay.now)

    async def step_back(self, wish: asyncio.Event) -> Stop | None:
        """Stand one instruction before; ``None``: it begins here."""
        if self.replay.now <= self.replay.begin:
            return None
        await self.replay.stand_at(self.replay.now - 1, wish)
        return Stop(self.replay.now, wished=wish.is_set())

    async def go_on(self, points: Breakpoints, wish: asyncio.Event) -> Stop | None:
        """Run to the next hit; ``None``: there is none up to the end.

        If a watched word is to be written, that is before the instruction: GDB makes a step.
        """
        if self.replay.now >= self.end:
            return None
        await self.step()  # a breakpoint here was hit already
        await points.arm(True)
        try:
            return await self._next(points, self.end, wish)
        finally:
            await points.arm(False)

    async def go_back(self, points: Breakpoints, wish: asyncio.Event) -> Stop | None:
        """Stand at the last hit before; ``None``: there is none, and it stands at the beginning.

        If a watched word was written, that is behind the instruction: GDB itself makes one more
        step back, and compares the values.
        """
        found, end, width = None, self.replay.now, FIRST
        while not found and end > self.replay.begin:
            begin = max(self.replay.begin, end - width)
            found = await self._last(points, (begin, end), wish)
            end, width = begin, width * GROWTH
        if not (found and found.wished):
            behind = bool(found and WATCHED in found.report)
            place = found.at + behind if found else self.replay.begin
            await self.replay.stand_at(place, wish)
        return self._wished() if wish.is_set() else found

    def _wished(self) -> Stop:
        return Stop(self.replay.now, wished=True)

    async def _last(
        self, points: Breakpoints, where: tuple[int, int], wish: asyncio.Event
    ) -> Stop | None:
        """The last hit from the first place until before the second one."""
        await self.replay.stand_at(where[0], wish)
        if wish.is_set():
            return self._wished()
        await points.arm(True)
        try:
            last, left_out = await self._hits(points, where[1], wish)
        finally:
            await points.arm(False)
        if left_out and not (last and last.wished):
            last = await self._last(points, left_out, wish) or last
        return last

    async def _hits(
        self, points: Breakpoints, end: int, wish: asyncio.Event
    ) -> tuple[Stop | None, tuple[int, int] | None]:
        """The last hit that was seen, and what was left out after it: from where to where."""
        last: Stop | None = None
        left_out: tuple[int, int] | None = None
        seen = 0
        while found := await self._next(points, end, wish):
            last, left_out, seen = found, None, seen + 1
            if found.wished:
                break
            if seen >= MANY and end - self.replay.now > NARROW:
                left_out = self.replay.now, (self.replay.now + end) // 2
                await points.arm(False)
                await self.replay.stand_at(left_out[1], wish)
                await points.arm(True)
                seen = 0
            else:
                await self._pass(points)
        return last, left_out

    async def _next(self, points: Breakpoints, end: int, wish: asyncio.Event) -> Stop | None:
        """The next hit that counts, before ``end``; ``None``: it stands there instead."""
        while report := await self.replay.run_to(end, wish):
            found = Stop(self.replay.now, b"" if wish.is_set() else report, wish.is_set())
            if found.wished or await points.counts(report):
                return found
            await self._pass(points)
        return None

    async def _pass(self, points: Breakpoints) -> None:
        """Execute the instruction of a hit.

        In a replay QEMU stands before an instruction that writes to a watched word, and does not
        get past it while the watchpoint is set.
        """
        await points.arm(False)
        await self.step()
        await points.arm(True)
