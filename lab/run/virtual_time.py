"""A scenario under the virtual clock: it is judged while the machine stands still.

The machine runs from one moment of virtual time to the next, and its logs are read between.
These moments, and the one at which the run ends, follow from the run itself. So it does not
matter how fast the host is, or when it looks.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lab.dom0.steps import Steps
from lab.machine import console_quota
from lab.machine.log_lines import LogReader, RawLine
from lab.machine.merged_consoles import find_zeros, merge
from lab.model import Plan
from lab.run.disturbing import Disturber
from lab.run.session import Session
from lab.rundir import RunDir
from lab.scenario.player import Hands, Player, Script
from lab.scenario.report import ExpectationResult, Report, StepResult
from lab.util.patterns import pattern

#: The machine is stopped 0.05, 0.11, 0.19, … virtual seconds after the start of a step, or of a
#: scenario without steps: often at first, then less and less often.
FIRST, GROWTH = 0.05, 1.25
#: Seconds of the host from one stop to the next, at most: a busy lab with three CPUs is slow.
PATIENCE = 600.0
#: Virtual seconds in which the last lines of a crashed guest still arrive.
AFTERMATH = 0.1


class VirtualStage(ABC):
    """The time and the consoles of a machine under the virtual clock, at moments of its own time.

    Times are seconds of the machine's time; where they begin is up to the kind of machine.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._at = self._base = 0.0
        self._readers = [LogReader(name, path) for name, path in files.items()]
        self.first = FIRST

    def now(self) -> float:
        return self._at

    def read(self) -> tuple[list[RawLine], list[RawLine]]:
        lines: list[RawLine] = []
        for reader in self._readers:
            while found := reader.read():
                lines += found
        return lines, [reader.partial for reader in self._readers if reader.partial]

    def begin(self) -> None:
        self._base = self._at

    def close(self) -> None:
        for reader in self._readers:
            reader.close()

    async def _to_next(self, until: float) -> None:
        """Go to the next moment at which the consoles are looked at.

        Raises:
            GuestError, Dom0Error, HypervisorError: a console said more than its limit.
        """
        console_quota.check(self._files)
        gone = self._at - self._base
        await self._to(min(self._base + gone * GROWTH + self.first, until))

    @abstractmethod
    async def _to(self, at: float) -> None:
        """Let the machine come to this time; from then on it is now."""


class StillStage(VirtualStage):
    """A machine that stands still between the moments. Times count from the first of them.

    ``disturber``: what disturbs the machine between the moments, if anything does.
    """

    def __init__(
        self, steps: Steps, files: Mapping[str, Path], disturber: Disturber | None = None
    ) -> None:
        super().__init__(files)
        self._steps = steps
        self._start = steps.now
        self._disturber = disturber
        self.first = (disturber and disturber.first) or FIRST

    def ended(self) -> bool:
        return False  # sleep_until raises if it does

    async def wait(self, until: float, done: asyncio.Future[Any] | None) -> None:
        if done:  # the machine runs only for that
            await asyncio.wait([done])
            self._at = max(self._at, self._steps.now - self._start)
            return
        await self._to_next(until)

    async def aftermath(self, *, alive: bool) -> None:
        if alive:
            await self._to(self._at + AFTERMATH)

    async def _to(self, at: float) -> None:
        if self._disturber:
            await self._disturber.until(self._start + at)
        await self._steps.sleep_until(self._start + at, PATIENCE)
        self._at = at


async def watch(
    session: Session,
    plan: Plan,
    hands: Hands | None = None,
    note: Callable[[StepResult], None] = lambda _: None,
    file: str = "labs.yaml",
) -> Report:
    """Play the lab's scenario, disturbed as planned, until it is decided. All times are virtual."""
    steps = session.at_stop
    files = session.run.consoles()
    disturber = Disturber(session, plan)
    stage = StillStage(steps, files, disturber)
    start = steps.now if session.began is None else session.began
    try:
        acting = disturber.delayed(hands) if hands else None
        report = await Player(Script(plan.lab, files, file), stage, acting, note).play()
    finally:
        stage.close()
    return replace(report, results=tuple(dated(session.run, report.results, start)))


def dated(
    run: RunDir, results: Sequence[ExpectationResult], start: float
) -> Iterator[ExpectationResult]:
    """Results with the exact times of their lines (0: from before the guests ran)."""
    start += find_zeros(run.console("xen")).counter
    wanted = [one.expectation for one in results]
    open_ = {
        i: pattern(item.text, regex=item.regex, line=item.line)
        for i, item in enumerate(wanted)
        if results[i].seen is not None
    }
    found: dict[int, float] = {}
    for entry in merge(run.consoles(), run.times_file):
        for i in [i for i in open_ if i not in found]:
            on = wanted[i].on == entry.line.console
            if on and entry.time is not None and open_[i].search(entry.line.text):
                found[i] = max(0.0, round(entry.time - start, 6))
    for i, one in enumerate(results):
        yield replace(one, seen=found.get(i, one.seen))
