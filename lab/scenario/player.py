"""Plays a scenario: takes its steps in order, and watches all consoles meanwhile.

The player knows nothing about clocks and machines. A :class:`Stage` has the time and the
consoles, and ``hands`` do to the lab what a step asks for. So the same scenario can run on the
host's clock and on the virtual one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from lab.errors import ConfigError, LabError
from lab.machine.conversation import Position
from lab.machine.log_lines import RawLine
from lab.model import Act, Lab, Layer, Step, Verdict
from lab.scenario.console_watches import Silence, Wait, Watch
from lab.scenario.judge import Judge, judge_of
from lab.scenario.phrases import step_name
from lab.scenario.report import Outcome, Report, StepResult
from lab.scenario.verdict import failed, from_error, last_lines
from lab.util.patterns import TooSlow

#: Does to the lab what a step asks for. Returns what a command printed, escaped.
Hands = Callable[[Step], Awaitable[str]]


class ScenarioStage(Protocol):
    """The time and the consoles of a run. Times are seconds since the guests run."""

    def now(self) -> float: ...

    def ended(self) -> bool:
        """Whether the machine has ended."""
        ...

    def read(self) -> tuple[list[RawLine], list[RawLine]]:
        """The lines that were completed since the last call, and those without an end yet."""
        ...

    def begin(self) -> None:
        """Note that a step begins."""
        ...

    async def wait(self, until: float, done: asyncio.Future[Any] | None) -> None:
        """Let time pass until ``until``, or something comes on a console, or ``done`` is done."""
        ...

    async def aftermath(self, *, alive: bool) -> None:
        """Wait for the lines that say why a run failed. ``alive``: dom0 still runs."""
        ...


@dataclass(frozen=True)
class Script:
    """What is played: a lab's scenario.

    Attributes:
        consoles: the logs of the lab's consoles, by name.
        file: the name of the labs file, for errors.
    """

    lab: Lab
    consoles: Mapping[str, Path]
    file: str = "labs.yaml"


class Decided(Exception):
    """The run is over: this is its verdict."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


class Player:
    """Plays one script once. ``note`` is called with the result of each step."""

    def __init__(
        self,
        script: Script,
        stage: ScenarioStage,
        hands: Hands | None = None,
        note: Callable[[StepResult], None] = lambda _: None,
    ) -> None:
        lab, self._file = script.lab, script.file
        self._lab = lab
        self._files = script.consoles
        self._stage = stage
        self._hands = hands
        self._note = note
        self._judge: Judge = judge_of(lab, self._file)
        self._positions: dict[str, Position] = {}
        self._results = [StepResult(number, step) for number, step in numbered(lab.steps)]

    async def play(self) -> Report:
        """Take all steps, then wait for open expectations. Ends as soon as all is decided."""
        try:
            for number, step in enumerate(self._lab.steps, 1):
                await self._take(str(number), step)
            await self._go()
            verdict = Verdict(True)
        except Decided as decided:
            verdict = decided.verdict
        except TooSlow as error:
            raise ConfigError(f"{self._file}:{error.line}: {error}") from error
        except LabError as error:
            if error.layer is None:
                raise
            verdict = from_error(error)
        return Report(
            self._lab.name, verdict, self._judge.results(), self._stage.now(), tuple(self._results),
            self._judge.never(), crashed=self._judge.crashed, consoles=self._files,
        )  # fmt: skip

    # ------------------------------------------------------------ steps

    async def _take(self, number: str, step: Step) -> None:
        """Take one step or a group. In a group, acting steps go one by one; the others watch."""
        self._stage.begin()
        group = step.do is Act.PARALLEL
        members = numbered(step.members, f"{number}.") if group else [(number, step)]
        began = self._stage.now()
        watches = {label: self._watch(one, began) for label, one in members if _watches(one)}
        try:
            for label, one in members:
                if not _watches(one):
                    await self._act(label, one, watches, began)
            if watches:
                await self._go(watches, began)
        finally:
            for watch in watches.values():
                watch.close()

    def _watch(self, step: Step, now: float) -> Watch:
        path = self._files[step.on]
        if step.do is Act.SILENT:
            return Silence(step, path, now)
        return Wait(step, path, self._positions, now)

    async def _act(
        self, label: str, step: Step, watches: Mapping[str, Watch], watched: float
    ) -> None:
        """Do what a step asks for, and watch the consoles meanwhile."""
        assert self._hands is not None
        began = self._stage.now()
        task = asyncio.ensure_future(self._hands(step))
        try:
            await self._go(watches, watched, task)
            said = task.result()
        except LabError as error:
            if error.layer is None:
                raise
            verdict = from_error(error)
            words = self._words(label, step, error.message)
            verdict = replace(verdict, reason=words, tail=verdict.tail or self._tail(step))
            bad = Outcome.FAILED if error.layer is Layer.GUEST else Outcome.ERROR
            self._over(label, bad, began, error.message, error.tail)
            raise Decided(verdict) from error
        except Decided:
            if task.done() and task.exception() is None:
                self._over(label, Outcome.PASSED, began, output=task.result())
            raise
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._over(label, Outcome.PASSED, began, output=said)

    # ------------------------------------------------------------ watching

    async def _go(
        self,
        watches: Mapping[str, Watch] | None = None,
        began: float = 0.0,
        task: asyncio.Task[str] | None = None,
    ) -> None:
        """Let time pass until ``task`` is done; without a task, until all watches are decided;
        without both, until the judge has seen all."""
        watches = watches or {}
        while True:
            at, ended = self._stage.now(), self._stage.ended()
            done = task is not None and task.done()
            more = await self._look(at)
            for label, watch in watches.items():
                if watch.passed is None:
                    more |= watch.look(at)
                    self._settle(label, watch, began)
            open_ = any(watch.passed is None for watch in watches.values())
            if done if task else not open_ if watches else self._judge.all_seen:
                return
            if ended and not more:
                raise Decided(self._judge.verdict(at, self._files))
            if more:
                await asyncio.sleep(0)
            else:
                await self._stage.wait(self._next(watches, task), task)

    async def _look(self, at: float) -> bool:
        """Show the judge all new lines. Returns whether there may be more to read at once.

        Raises:
            Decided: the run has failed.
        """
        lines, partial = self._stage.read()
        for line in lines:
            self._judge.see(line, at)
        for line in partial:
            self._judge.see(line, at, whole=False)
        if self._judge.decided(at):
            if self._judge.failure or self._judge.crashed:
                await self._stage.aftermath(alive=self._judge.failure is None)
            raise Decided(self._judge.verdict(at, self._files))
        return bool(lines)

    def _settle(self, label: str, watch: Watch, began: float) -> None:
        """Note the result of a watch, if it is decided.

        Raises:
            Decided: it failed.
        """
        if watch.passed is None:
            return
        self._over(label, Outcome.PASSED if watch.passed else Outcome.FAILED, began, watch.reason)
        if not watch.passed:
            words = self._words(label, watch.step, watch.reason)
            raise Decided(failed(Layer.GUEST, words, self._tail(watch.step)))

    def _next(self, watches: Mapping[str, Watch], task: asyncio.Task[str] | None) -> float:
        """The next deadline of a watch or an expectation."""
        ends = [watch.deadline for watch in watches.values() if watch.passed is None]
        ends += [] if self._judge.next_deadline is None else [self._judge.next_deadline]
        return min(ends, default=float("inf") if task else self._stage.now())

    # ------------------------------------------------------------ words

    def _over(
        self, label: str, outcome: Outcome, began: float, reason: str = "", output: str = ""
    ) -> None:
        for i, result in enumerate(self._results):
            if result.number == label:
                began = round(began, 6)
                seconds = round(round(self._stage.now(), 6) - began, 6)
                result = replace(
                    result, outcome=outcome, began=began, seconds=seconds,
                    reason=reason, output=output,
                )  # fmt: skip
                self._results[i] = result
                self._note(result)

    def _words(self, label: str, step: Step, reason: str) -> str:
        place = f" ({self._file}:{step.line})" if step.line else ""
        at = f"after {self._stage.now():.3f} s"
        return f"step {label}{place}, {step_name(step)}, failed {at}: {reason}"

    def _tail(self, step: Step) -> str:
        return last_lines(self._files, step.on or "dom0")


def numbered(steps: Sequence[Step], before: str = "") -> list[tuple[str, Step]]:
    """Steps with their numbers. The members of a group have ``2.1``, ``2.2``, …"""
    found: list[tuple[str, Step]] = []
    for i, step in enumerate(steps, 1):
        if step.do is Act.PARALLEL:
            found += numbered(step.members, f"{before}{i}.")
        else:
            found.append((f"{before}{i}", step))
    return found


def _watches(step: Step) -> bool:
    return step.do in (Act.WAIT, Act.SILENT)
