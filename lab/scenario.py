"""Expectations → Verdict, with the layer that failed.

A guest's output counts for the expectations that name its console and for nothing else:
whatever it prints, it cannot speak for Xen or dom0.
"""

from __future__ import annotations

import asyncio
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.errors import LabError
from lab.machine.console import Failure, Follower, failure_in
from lab.machine.lines import Line, tail
from lab.model import Domain, ExitStatus, Expectation, Lab, Layer, Verdict
from lab.util.deadline import Deadline
from lab.util.terminal import escape, quote

#: The exit status that a failure of a layer leads to.
STATUS = {
    Layer.TOOLCHAIN: ExitStatus.INFRASTRUCTURE,
    Layer.IMAGE: ExitStatus.INFRASTRUCTURE,
    Layer.QEMU: ExitStatus.INFRASTRUCTURE,
    Layer.XEN: ExitStatus.PLATFORM,
    Layer.DOM0: ExitStatus.PLATFORM,
    Layer.TOOLSTACK: ExitStatus.TOOLSTACK,
    Layer.GUEST: ExitStatus.GUEST,
}


@dataclass(frozen=True)
class Result:
    """An expectation, and when it was seen: seconds from the start; ``None`` if it was not."""

    expectation: Expectation
    seen: float | None = None


@dataclass(frozen=True)
class Report:
    """What came of one run of a lab's expectations. ``seconds`` is how long it was watched."""

    lab: str
    verdict: Verdict
    results: tuple[Result, ...] = ()
    seconds: float = 0.0


class Judge:
    """Decides from lines and times alone; knows no files and no clock.

    Times are seconds since the guests run. The first expectation that is over without
    having been seen decides. Show the judge all lines that are there before asking what is
    :meth:`overdue`: a line that was in time counts even if we were slow to read it.
    """

    def __init__(self, expectations: Sequence[Expectation]) -> None:
        self._expectations = tuple(expectations)
        self._patterns = tuple(pattern(item) for item in expectations)
        self._seen: dict[int, float] = {}
        self.failure: tuple[Failure, Line] | None = None

    def see(self, line: Line, at: float) -> None:
        """A line was on a console at this time."""
        if self.failure is None and (failure := failure_in(line)):
            self.failure = (failure, line)
        for i, expectation in self._open():
            if line.console == expectation.on and self._patterns[i].search(line.text):
                self._seen[i] = at

    @property
    def all_seen(self) -> bool:
        return len(self._seen) == len(self._expectations)

    @property
    def next_deadline(self) -> float | None:
        """When the first expectation that is still open is over; ``None`` if none is open."""
        return min((item.within for _, item in self._open()), default=None)

    def overdue(self, at: float) -> Expectation | None:
        """The expectation that was over first by this time without having been seen."""
        late = [item for _, item in self._open() if item.within <= at]
        return min(late, key=lambda item: item.within, default=None)

    def results(self) -> tuple[Result, ...]:
        return tuple(Result(item, self._seen.get(i)) for i, item in enumerate(self._expectations))

    def _open(self) -> list[tuple[int, Expectation]]:
        return [(i, item) for i, item in enumerate(self._expectations) if i not in self._seen]


async def watch(
    lab: Lab,
    files: Mapping[str, Path],
    *,
    since: Deadline | None = None,
    stop: asyncio.Event | None = None,
    offsets: Mapping[str, int] | None = None,
) -> Report:
    """Watch the consoles until the lab's expectations are decided.

    ``since`` was set when the guests began to run (default: now); the logs are read from
    ``offsets`` on (default: from the start, so nothing that came earlier is missed).
    ``stop`` is set when the machine ended. Takes no longer than the longest ``within``.
    """
    clock = since or Deadline(0)
    judge = Judge(lab.expect)
    with Follower(files, offsets) as follower:
        while True:
            ended = stop is not None and stop.is_set()
            at = clock.elapsed()
            lines = follower.read()
            for line in [*lines, *follower.partial()]:
                judge.see(line, at)
            decided = judge.failure or judge.all_seen or judge.overdue(at)
            if decided or (ended and not lines):
                break
            if lines:
                await asyncio.sleep(0)
            else:
                left = (judge.next_deadline or 0.0) - clock.elapsed()
                await follower.change(max(0.0, left), stop)
        if judge.failure:
            await follower.aftermath(stop)
    verdict = judge_verdict(judge, at, files)
    return Report(lab.name, verdict, judge.results(), clock.elapsed())


def judge_verdict(judge: Judge, at: float, files: Mapping[str, Path]) -> Verdict:
    """The verdict at this time; what is not decided then failed because the machine ended."""
    if judge.failure:
        failure, line = judge.failure
        reason = f"{failure.what}: {escape(line.raw)}"
        return failed(failure.layer, reason, _tail(files, failure.on))
    if judge.all_seen:
        return Verdict(True)
    if late := judge.overdue(at):
        return failed(Layer.GUEST, not_seen(late), _tail(files, late.on))
    return failed(Layer.QEMU, "the machine ended before all was seen", _tail(files, "xen"))


def failed(layer: Layer, reason: str, tail: str = "") -> Verdict:
    """A verdict of failure, with the exit status of its layer."""
    return Verdict(False, layer, reason, STATUS[layer], tail)


def from_error(error: LabError) -> Verdict:
    """The verdict of a run that an error ended."""
    return Verdict(False, error.layer, error.message, error.exit_status, error.tail)


def with_domains(report: Report, domains: Sequence[Domain]) -> Report:
    """The report, with what became of the domain of the guest that failed."""
    missed = [result.expectation for result in report.results if result.seen is None]
    if report.verdict.layer is not Layer.GUEST or not missed:
        return report
    on = min(missed, key=lambda item: item.within).on
    domain = next((one for one in domains if one.name == on), None)
    fate = _fate(domain) if domain else "its domain is gone"
    verdict = replace(report.verdict, reason=f"{report.verdict.reason}; {fate}")
    return replace(report, verdict=verdict)


def _fate(domain: Domain) -> str:
    """The state letters of xl list (xl(1)), in words."""
    ends = {"c": "its domain crashed", "s": "its domain shut down", "d": "its domain is dying",
            "p": "its domain is paused"}  # fmt: skip
    words = next((words for letter, words in ends.items() if letter in domain.state), None)
    return f"{words or 'its domain still runs'} (xl list: {domain.state})"


def not_seen(item: Expectation) -> str:
    """``'hello' was not seen on the console of hello within 10s``, for a line or a pattern."""
    what = f"a match of {quote(item.text)}" if item.regex else quote(item.text)
    return f"{what} was not seen on the console of {item.on} within {item.within:g}s"


def pattern(item: Expectation) -> re.Pattern[str]:
    """What a line must match."""
    return re.compile(item.text if item.regex else re.escape(item.text))


def _tail(files: Mapping[str, Path], console: str) -> str:
    return tail(files[console]) if console in files else ""


# ---------------------------------------------------------------- JUnit


def junit(reports: Sequence[Report]) -> bytes:
    """JUnit XML: a suite for each report, a case for each expectation.

    An expectation that was not met is a failure; one that could not be decided, because
    something below the guest failed, is an error. A report without expectations has one
    case, for the boot.
    """
    root = ET.Element("testsuites")
    for report in reports:
        _suite(root, report)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _suite(root: ET.Element, report: Report) -> None:
    suite = ET.SubElement(root, "testsuite", name=_legal(report.lab), time=_time(report.seconds))
    if not report.results:
        _case(suite, report, "boot", report.seconds if report.verdict.passed else None)
    for result in report.results:
        name = f"{result.expectation.on}: {result.expectation.text}"
        _case(suite, report, name, result.seen)
    suite.set("tests", str(len(suite)))
    for kind in ("failure", "error"):
        suite.set(f"{kind}s", str(len(suite.findall(f"testcase/{kind}"))))


def _case(suite: ET.Element, report: Report, name: str, seen: float | None) -> None:
    seconds = _time(report.seconds if seen is None else seen)
    case = ET.SubElement(
        suite, "testcase", classname=_legal(report.lab), name=_legal(name), time=seconds
    )  # fmt: skip
    verdict = report.verdict
    if seen is not None or verdict.passed:
        return
    layer = verdict.layer.value if verdict.layer else "usage"
    kind = "failure" if verdict.layer is Layer.GUEST else "error"
    message = _legal(f"{layer}: {verdict.reason}")
    found = ET.SubElement(case, kind, type=layer, message=message)
    found.text = _legal(f"layer: {layer}\n{verdict.reason}\nlast lines:\n{verdict.tail}\n")


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"


def _legal(text: str) -> str:
    """Text with what XML 1.0 cannot hold (section 2.2) replaced."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
