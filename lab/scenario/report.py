"""What came of one run of a scenario: every expectation, step, limit, and the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from lab.machine.guest_ends import CRASHED
from lab.model import Domain, Expectation, Layer, Never, Step, Threshold, Verdict
from lab.scenario import verdict as verdicts
from lab.scenario.phrases import never_name, step_name, threshold_name

#: What a run is about even if nothing was asked for.
PLATFORM = "Xen, dom0 and the guests stay up"


@dataclass(frozen=True)
class ExpectationResult:
    """An expectation, and when it was seen: seconds from the start; ``None`` if it was not."""

    expectation: Expectation
    seen: float | None = None


class Outcome(StrEnum):
    """What came of one thing that was asked for."""

    PASSED = "passed"
    FAILED = "failed"
    #: Something below the guests failed while it was going on.
    ERROR = "error"
    #: The run ended before it was decided.
    SKIPPED = "skipped"


@dataclass(frozen=True)
class StepResult:
    """A step, its number (``3``, or ``3.1`` in a group), and what came of it.

    ``began`` and ``seconds``: when, and for how long; from the moment the guests run.
    ``output``: the last lines of what a command said.
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
    """A text that was not to be seen; ``line`` is the one in which it was."""

    never: Never
    line: str | None = None


@dataclass(frozen=True)
class ThresholdResult:
    """A limit, and what was measured; ``None``: nothing was, ``reason`` says why."""

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
    """What came of one run. ``seconds`` is how long it was watched; ``file`` is labs.yaml, and
    ``line`` where the lab is in it.

    ``consoles`` are the logs of the run; ``crashed`` is the guest that crashed and ended it;
    ``notes`` have what there is to say of guests at its end: ``powered off after 12 ms``.
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


@dataclass(frozen=True)
class Case:
    """One thing that was asked for, as test reports have it.

    ``console`` is the one that it is about; ``output`` is what a command said; ``line`` is
    where in labs.yaml it stands (0: nowhere).
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
    """Everything that was asked for, in the order of labs.yaml; first that nothing broke down.

    What made the run fail has the verdict's words; what was open then is skipped.
    """
    wanted = [*_expected(report), *_stepped(report), *_forbidden(report), *_limited(report)]
    blamed = any(case.outcome in (Outcome.FAILED, Outcome.ERROR) for case in wanted)
    if report.verdict.passed or blamed:
        first = Case(PLATFORM, Outcome.PASSED, report.seconds)
    else:
        first = _blame(report, Case(PLATFORM, Outcome.FAILED, report.seconds))
    return [first, *wanted]


def with_domains(report: Report, domains: Sequence[Domain]) -> Report:
    """The report, with what became of the domain of the guest that failed, and of all guests."""
    said = {one.name: one.note for one in domains if one.note}
    report = replace(report, notes={**report.notes, **said})
    verdict = report.verdict
    note = report.notes.get(report.crashed, "")
    if verdict.layer is Layer.GUEST and note not in ("", CRASHED):  # CRASHED alone has no time
        reason = f"guest {report.crashed}: its domain {note}"
        return replace(report, verdict=replace(verdict, reason=reason))
    on = _failed_on(report)
    if verdict.layer is not Layer.GUEST or on in ("", "xen", "dom0"):
        return report
    reason = f"{verdict.reason}; {verdicts.fate(domains, on)}"
    hint = verdicts.SILENCE if verdicts.is_silent(domains, on) else ""
    return replace(report, verdict=replace(verdict, reason=reason, hint=hint))


def missed(report: Report) -> ExpectationResult | None:
    """The expectation that made the run fail: the one that was over first, if it was one."""
    others = [*_stepped(report), *_forbidden(report)]
    open_ = [result for result in report.results if result.seen is None]
    ours = report.verdict.layer is Layer.GUEST and not report.crashed
    if not ours or any(_is_bad(case) for case in others):
        return None
    return min(open_, key=lambda one: one.expectation.within, default=None)


def _failed_on(report: Report) -> str:
    """The console of what was not seen."""
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
    """The case, made to fail with the verdict's words."""
    found = report.verdict
    outcome = Outcome.FAILED if found.layer is Layer.GUEST else Outcome.ERROR
    return replace(case, outcome=outcome, reason=found.reason, layer=found.layer, tail=found.tail)
