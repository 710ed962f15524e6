"""A console of a running lab: what it says, and what is typed on it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from lab import scenario
from lab.api.context import attached
from lab.errors import NotSeen, UsageError
from lab.machine import conversation, shared_console, shared_input
from lab.machine.console_files import input_of
from lab.machine.console_text import lines_of
from lab.machine.log_lines import tail
from lab.model import Domain, Expectation
from lab.run.live import Live
from lab.util import patterns
from lab.util.deadline import Deadline
from lab.util.terminal import quote

T = TypeVar("T")


class Owner(Protocol):
    """The lab of a console (:class:`lab.api.running_lab.RunningLab`)."""

    name: str
    run_dir: Path

    def do(self, step: Coroutine[Any, Any, T], what: str, on: str = "") -> T: ...
    def domains(self) -> list[Domain]: ...


@dataclass(frozen=True)
class Answer:
    """The result of a command in dom0. ``status`` is negative if a signal ended it."""

    argv: tuple[str, ...]
    status: int
    output: str
    errors: str


@dataclass(frozen=True)
class Seen:
    """A line that was expected. ``match``: the part that matched; ``seconds``: the wait for it."""

    line: str
    match: patterns.Match
    seconds: float


class Console:
    """A console of a running lab.

    An expectation is looked for from where the last one ended; the first, from the first line
    on. So no line is missed, and none counts twice.
    """

    def __init__(self, lab: Owner, found: Live, name: str) -> None:
        self.lab = lab
        self.found = found
        self.name = name
        self.log = found.run.console(name)
        self._at = conversation.Position()

    def expect(
        self, text: str | re.Pattern[str], within: float = 10.0, *, regex: bool = False
    ) -> Seen:
        """Wait until the console says this, for at most ``within`` seconds.

        ``text`` must be in one line: literally or, with ``regex``, as a pattern. If it does not
        come, the next expectation looks at the same lines again.

        Raises:
            NotSeen: it did not come; an ``AssertionError``, with the last lines.
            GuestCrashed: a guest's domain crashed meanwhile; an ``AssertionError``, too.
            GuestError: a console says more than it may.
            UsageError: it is not a regular expression, or it takes too long to match.
            MachineError, HypervisorError, Dom0Error: the machine, Xen or dom0 is lost.
        """
        __tracebackhide__ = True
        item, pattern = _wanted(self.name, text, within, regex=regex)
        clock = Deadline(within)
        found = self.lab.do(
            conversation.find(self.log, self._at, pattern, clock),
            f"{quote(item.text)} on the console of {self.name}",
            self.name,
        )
        if found is None:
            raise self._not_seen(item)
        self._at = found.position
        return Seen(found.line.text, found.match, clock.elapsed())

    def send(self, text: str) -> None:
        r"""Type exactly this; Enter is ``\r``.

        Raises:
            GuestCrashed: its domain crashed. MachineError: the machine is gone.
            UsageError: Xen boots the guest, and cannot pass this on to it.
        """
        __tracebackhide__ = True
        _require(isinstance(text, str), "send() needs a text", text)
        lab = self.found.lab
        if shared_console.carries(self.log):
            consoles = self.found.run.console_dir
            typing = shared_input.type_into(lab, consoles, self.name, text.encode())
        else:
            typing = conversation.type_into(input_of(lab.path, self.name), text.encode())
        self.lab.do(typing, f"{self.name} to take what is typed", self.name)

    def skip(self) -> None:
        """Ignore what it said until now."""
        self._at = conversation.end_of(self.log)

    def begin(self, offset: int) -> None:
        """Look for the next expectation from this byte of its log on."""
        self._at = conversation.Position(offset)

    def lines(self) -> list[str]:
        """All lines that it said since the lab's start, escaped."""
        return list(lines_of(self.log))

    def _not_seen(self, item: Expectation) -> NotSeen:
        """The error, with the domain's state; an error of dom0 if that cannot tell."""
        reason, hint = scenario.not_seen(item), ""
        if self.name not in ("xen", "dom0"):
            domains = self.lab.domains()
            reason += f"; {scenario.fate(domains, self.name)}"
            hint = scenario.SILENCE if scenario.is_silent(domains, self.name) else ""
        error = NotSeen(reason, tail=tail(self.log), hint=hint)
        error.run = self.lab.run_dir
        return error


class Dom0(Console):
    """dom0's console, and commands in dom0."""

    def run(self, command: str | Sequence[str], within: float = 60.0) -> Answer:
        """Run a command in dom0 to its end. No exit status is an error.

        A text is split into words as a shell splits it, but no shell runs. ``within``: seconds.

        Raises:
            UsageError: it is empty, or dom0 has no such program.
            GuestCrashed: a guest crashed meanwhile; each crash is raised once.
            Dom0Error: it did not end in time, or dom0 does not answer.
        """
        __tracebackhide__ = True
        try:
            argv = shlex.split(command) if isinstance(command, str) else list(command)
        except ValueError as error:
            raise UsageError(f"the command cannot be split into words: {error}") from error
        if not argv:
            raise UsageError("the command is empty", hint='for example: dom0.run("xl list")')
        _require(
            all(isinstance(word, str) for word in argv),
            "run() needs a text, or a list of texts",
            command,
        )
        _require_seconds(within)

        async def go() -> Answer:
            async with attached(self.found) as session:
                done = await session.execute(argv, within)
            texts = (data.decode(errors="replace") for data in (done.stdout, done.stderr))
            return Answer(done.argv, done.status, *texts)

        return self.lab.do(go(), f"the end of {argv[0]} in dom0")


def _wanted(
    on: str, text: str | re.Pattern[str], within: float, *, regex: bool
) -> tuple[Expectation, patterns.Pattern]:
    __tracebackhide__ = True
    _require(isinstance(text, str | re.Pattern), "expect() needs a text or a pattern", text)
    _require_seconds(within)
    words = str(text.pattern) if isinstance(text, re.Pattern) else text
    item = Expectation(on, words, regex or isinstance(text, re.Pattern), within)
    try:
        if isinstance(text, re.Pattern):
            return item, patterns.compiled(text)
        return item, patterns.pattern(text, regex=regex)
    except ValueError as error:
        raise UsageError(f"{quote(words)} is not a regular expression: {error}") from None


def _require_seconds(within: object) -> None:
    __tracebackhide__ = True
    good = isinstance(within, int | float) and within >= 0
    _require(good, "'within' must be a number of seconds, such as 10", within)


def _require(good: bool, what: str, given: object) -> None:
    """Raise a usage error that shows what was given instead."""
    __tracebackhide__ = True
    if not good:
        raise UsageError(f"{what}, not {quote(repr(given))}")
