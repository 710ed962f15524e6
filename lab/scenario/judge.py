"""Decides from lines and times alone whether a run has passed or failed.

A guest's output counts only for expectations that name its console. Whatever a guest prints, it
cannot speak for Xen, for dom0, or for another guest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from lab.machine.console import Failure, crashed_in, failure_in, says_more
from lab.machine.log_lines import RawLine
from lab.model import Expectation, Lab, Layer, Never, Verdict
from lab.scenario.phrases import not_seen, text_of
from lab.scenario.report import ExpectationResult, NeverResult
from lab.scenario.verdict import failed, last_lines
from lab.util.patterns import pattern
from lab.util.terminal import escape


class Judge:
    """Decides from lines and times alone. It knows no files and no clock.

    Times are seconds since the guests run. A run fails with the first expectation whose time is
    over before its text came. Show the judge all lines that are there before you ask what is
    :meth:`overdue`: a line that came in time counts even if it was read late.

    Attributes:
        failure: the failure of Xen or dom0, and the line that reports it.
        crashed: the first guest that crashed and must not.
        broken: by index in ``never``, the line that had a text which must never be printed.
    """

    def __init__(
        self,
        expectations: Sequence[Expectation],
        never: Sequence[Never] = (),
        may_crash: Collection[str] | None = (),
        file: str = "labs.yaml",
    ) -> None:
        """``may_crash``: guests that may; ``None``: all. ``file``: the labs file, for errors."""
        self._file = file
        self._expectations = tuple(expectations)
        self._patterns = tuple(
            pattern(item.text, regex=item.regex, line=item.line) for item in expectations
        )
        self._never = tuple(never)
        self._forbidden = tuple(
            pattern(item.text, regex=item.regex, line=item.line) for item in never
        )
        self._may_crash = may_crash
        self._seen: dict[int, float] = {}
        self.failure: tuple[Failure, RawLine] | None = None
        self.crashed = ""
        self.broken: dict[int, RawLine] = {}

    def see(self, line: RawLine, at: float, *, whole: bool = True) -> None:
        """Show the judge a line and its time. A line without an end yet is not ``whole``."""
        failure = failure_in(line)
        if failure and says_more(failure, self.failure[0] if self.failure else None):
            self.failure = (failure, line)
        for i, expectation in self._open():
            if line.console == expectation.on and self._patterns[i].search(line.text):
                self._seen[i] = at
        if not whole:
            return
        if not self.crashed and self._may_crash is not None:
            name = crashed_in(line)
            self.crashed = "" if name in self._may_crash else name
        for i, item in enumerate(self._never):
            here = item.on in ("", line.console) and i not in self.broken
            if here and self._forbidden[i].search(line.text):
                self.broken[i] = line

    @property
    def all_seen(self) -> bool:
        return len(self._seen) == len(self._expectations)

    @property
    def next_deadline(self) -> float | None:
        """The first deadline of the expectations that are still open; ``None`` if none is open."""
        return min((item.within for _, item in self._open()), default=None)

    def overdue(self, at: float) -> Expectation | None:
        """The open expectation with the first deadline, if that has passed by this time."""
        late = [item for _, item in self._open() if item.within <= at]
        return min(late, key=lambda item: item.within, default=None)

    def decided(self, at: float) -> bool:
        """Whether the run has failed by this time, whatever may still come."""
        return bool(self.failure or self.crashed or self.broken or self.overdue(at))

    def verdict(self, at: float, files: Mapping[str, Path]) -> Verdict:
        """Why the run has failed by this time. If nothing else says so, the machine ended."""
        if self.failure:
            failure, line = self.failure
            reason = f"{failure.what}: {escape(line.raw)}"
            return failed(failure.layer, reason, last_lines(files, failure.on))
        if self.crashed:
            reason = f"guest {self.crashed}: its domain crashed after {at:.3g} s"
            return failed(Layer.GUEST, reason, last_lines(files, self.crashed))
        for i, line in sorted(self.broken.items()):
            return self._forbidden_seen(self._never[i], line, files)
        if late := self.overdue(at):
            reason = self._placed("expect", late, not_seen(late))
            return failed(Layer.GUEST, reason, last_lines(files, late.on))
        reason = "the machine ended before the scenario did"
        return failed(Layer.QEMU, reason, last_lines(files, "xen"))

    def results(self) -> tuple[ExpectationResult, ...]:
        return tuple(
            ExpectationResult(item, self._seen.get(i)) for i, item in enumerate(self._expectations)
        )

    def never(self) -> tuple[NeverResult, ...]:
        lines = {i: escape(line.raw) for i, line in self.broken.items()}
        return tuple(NeverResult(item, lines.get(i)) for i, item in enumerate(self._never))

    def _forbidden_seen(self, item: Never, line: RawLine, files: Mapping[str, Path]) -> Verdict:
        what = text_of(item.text, regex=item.regex)
        reason = f"{what} is on the console of {line.console}, where it must never appear"
        reason = self._placed("never", item, f"{reason}: {escape(line.raw, limit=300)}")
        return failed(Layer.GUEST, reason, last_lines(files, line.console))

    def _placed(self, what: str, item: Expectation | Never, reason: str) -> str:
        return f"{what} ({self._file}:{item.line}): {reason}" if item.line else reason

    def _open(self) -> list[tuple[int, Expectation]]:
        return [(i, item) for i, item in enumerate(self._expectations) if i not in self._seen]


def judge_of(lab: Lab, file: str = "labs.yaml") -> Judge:
    """The judge for a lab's ``expect`` and ``never``, and for crashes of its guests."""
    return Judge(lab.expect, lab.never, tolerated(lab), file)


def tolerated(lab: Lab) -> set[str] | None:
    """The guests of a lab that may crash; ``None``: all of them."""
    found = {guest.name for guest in (*lab.guests, *lab.later) if guest.may_crash}
    return None if lab.may_crash else found
