"""The result of one run of a scenario: every expectation, step and limit, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from lab.machine.guest_ends import CRASHED
from lab.model import Domain, Expectation, Layer, Never, Step, Threshold, Verdict
from lab.scenario import verdict as verdicts
from lab.scenario.phrases import never_name, step_name, threshold_name

#: The name of the case that every run has, even if its lab expects nothing.
PLATFORM = "Xen, dom0 and the guests stay up"


@dataclass(frozen=True)
class ExpectationResult:
    """An expectation, and when it was met: seconds since the guests run; ``None`` if it was not."""

    expectation: Expectation
    seen: float | None = None


class Outcome(StrEnum):
    """The result of one expectation, step or limit."""

    PASSED = "passed"
    FAILED = "failed"
    #: Something below the guests failed meanwhile.
    ERROR = "error"
    #: The run ended before it was decided.
    SKIPPED = "skipped"


@dataclass(frozen=True)
class StepResult:
    """A step, its number (``3``, or ``3.1`` in a group), and its result.

    Attributes:
        began: when it began, in seconds since the guests run.
        seconds: how long it took.
        output: the last lines that a command printed.
    """

    number: str
    step: Step
    outcome: Outcome = Outcome.SKIPPED
    began: float = 0.0
    seconds: float = 0.0
    reason: str = ""
    output: str = ""

    @property
    def name(self) -> str:
        return f"step {self.number}: {step_name(self.step)}"


@dataclass(frozen=True)
class NeverResult:
    """A text that must never be printed. ``line``: the line that had it; ``None`` if none did."""

    never: Never
    line: str | None = None


@dataclass(frozen=True)
class ThresholdResult:
    """A limit and the measured value.

    ``measured`` is ``None`` if nothing was measured. ``reason`` says why the limit was not kept.
    """

    threshold: Threshold
    measured: float | None = None
    reason: str = ""

    @property
    def name(self) -> str:
        return threshold_name(self.threshold)

    @property
    def outcome(self) -> Outcome:
        if self.reason:
            return Outcome.FAILED
        return Outcome.SKIPPED if self.measured is None else Outcome.PASSED


@dataclass(frozen=True)
class Report:
    """The result of one run.

    Attributes:
        seconds: how long the run was watched.
        crashed: the guest whose crash ended the run; empty if none did.
        notes: by guest, what happened to it by the end: ``powered off after 12 ms``.
        consoles: the logs of the run.
        file, line: labs.yaml, and the line at which the lab begins in it.
        arch: the architecture of the machine, as labs.yaml names it; empty: the first one.
    """

    lab: str
    verdict: Verdict
    results: tuple[ExpectationResult, ...] = ()
    seconds: float = 0.0
    steps: tuple[StepResult, ...] = ()
    never: tuple[NeverResult, ...] = ()
    thresholds: tuple[ThresholdResult, ...] = ()
    crashed: str = ""
    notes: Mapping[str, str] = field(default_factory=dict, compare=False)
    consoles: Mapping[str, Path] = field(default_factory=dict, compare=False)
    file: Path | None = field(default=None, compare=False)
    line: int = field(default=1, compare=False)
    arch: str = field(default="", compare=False)

    @property
    def title(self) -> str:
        """The lab's name, and its architecture unless that is the first one: ``hello (arm64)``."""
        return f"{self.lab} ({self.arch})" if self.arch else self.lab


@dataclass(frozen=True)
class Case:
    """One expectation, step or limit, as a test report has it.

    Attributes:
        console: the console that it is about.
        output: what a command printed.
        line: its line in labs.yaml; 0 if it is not there.
    """

    name: str
    outcome: Outcome
    seconds: float = 0.0
    reason: str = ""
    layer: Layer | None = None
    tail: str = ""
    console: str = ""
    line: int = 0
    output: str = ""


def cases(report: Report) -> list[Case]:
    """All cases in the order of labs.yaml. The first is that nothing broke down.

    The case that made the run fail has the verdict's words. Cases that were still open are
    skipped.
    """
    wanted = [*_expected(report), *_stepped(report), *_forbidden(report), *_limited(report)]
    blamed = any(case.outcome in (Outcome.FAILED, Outcome.ERROR) for case in wanted)
    if report.verdict.passed or blamed:
        first = Case(PLATFORM, Outcome.PASSED, report.seconds)
    else:
        first = _blame(report, Case(PLATFORM, Outcome.FAILED, report.seconds))
    return [first, *wanted]


def with_domains(report: Report, domains: Sequence[Domain]) -> Report:
    """The report, with what happened to the domains of the guests, above all of one that failed."""
    said = {one.name: one.note for one in domains if one.note}
    report = replace(report, notes={**report.notes, **said})
    verdict = report.verdict
    note = report.notes.get(report.crashed, "")
    if verdict.layer is Layer.GUEST and note not in ("", CRASHED):  # CRASHED alone has no time
        reason = f"guest {report.crashed}: its domain {note}"
        return replace(report, verdict=replace(verdict, reason=reason))
    on = failed_on(report)
    if verdict.layer is not Layer.GUEST or on in ("", "xen", "dom0"):
        return report
    reason = f"{verdict.reason}; {verdicts.fate(domains, on)}"
    hint = verdicts.SILENCE if verdicts.is_silent(domains, on) else ""
    return replace(report, verdict=replace(verdict, reason=reason, hint=hint))


def missed(report: Report) -> ExpectationResult | None:
    """The expectation that made the run fail, if one did: the one with the first deadline."""
    others = [*_stepped(report), *_forbidden(report)]
    open_ = [result for result in report.results if result.seen is None]
    ours = report.verdict.layer is Layer.GUEST and not report.crashed
    if not ours or any(_is_bad(case) for case in others):
        return None
    return min(open_, key=lambda one: one.expectation.within, default=None)


def failed_on(report: Report) -> str:
    """The console of the step or expectation that failed; empty if none did."""
    bad = [case for case in _stepped(report) if _is_bad(case)]
    if bad:
        return bad[0].console
    found = missed(report)
    return found.expectation.on if found else ""


def _expected(report: Report) -> Iterator[Case]:
    blamed = missed(report)
    for one in report.results:
        item = one.expectation
        case = Case(f"{item.on}: {item.text}", Outcome.SKIPPED, console=item.on, line=item.line)
        if one.seen is not None or report.verdict.passed:
            seconds = report.seconds if one.seen is None else one.seen
            yield replace(case, outcome=Outcome.PASSED, seconds=seconds)
        elif one is blamed:
            yield _blame(report, replace(case, seconds=report.seconds))
        else:
            yield case


def _stepped(report: Report) -> Iterator[Case]:
    for one in report.steps:
        case = Case(one.name, one.outcome, one.seconds, console=one.step.on, line=one.step.line)
        case = replace(case, output=one.output)
        yield _blame(report, case) if _is_bad(case) else case


def _forbidden(report: Report) -> Iterator[Case]:
    for one in report.never:
        item = one.never
        case = Case(never_name(item), Outcome.PASSED, report.seconds, line=item.line)
        case = replace(case, console=item.on)
        yield _blame(report, case) if one.line is not None else case


def _limited(report: Report) -> Iterator[Case]:
    for one in report.thresholds:
        item = one.threshold
        case = Case(one.name, one.outcome, console=item.guest, line=item.line)
        yield replace(case, reason=one.reason, layer=Layer.GUEST) if one.reason else case


def _is_bad(case: Case) -> bool:
    return case.outcome in (Outcome.FAILED, Outcome.ERROR)


def _blame(report: Report, case: Case) -> Case:
    """The case as failed, with the verdict's words."""
    found = report.verdict
    outcome = Outcome.FAILED if found.layer is Layer.GUEST else Outcome.ERROR
    return replace(case, outcome=outcome, reason=found.reason, layer=found.layer, tail=found.tail)
