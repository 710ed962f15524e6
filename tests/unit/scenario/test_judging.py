"""The judge's verdicts, and what guests cannot make it believe."""

from __future__ import annotations

import asyncio
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import MachineError, ToolstackError
from lab.machine.log_lines import RawLine
from lab.model import ExitStatus, Expectation, HypervisorSpec, Lab, Layer, Never, Verdict
from lab.scenario import ExpectationResult, Judge, Report, Script, failed, from_error, watch
from lab.scenario.junitxml import junit
from lab.scenario.report import PLATFORM

HELLO = Expectation("hello", "hello from FreeRTOS", within=10.0)
PASS = Expectation("self", r"PASS \(\d+ checks\)", regex=True, within=60.0)


def lab(*expect: Expectation) -> Lab:
    return Lab("one", HypervisorSpec("stock"), expect=expect)


def test_all_seen_passes() -> None:
    judge = Judge([HELLO, PASS])
    judge.see(RawLine("hello", b"[1] hello from FreeRTOS!"), 1.0)
    assert not judge.all_seen
    assert judge.next_deadline == 60.0
    judge.see(RawLine("self", b"selftest: PASS (12 checks)"), 2.0)
    assert judge.all_seen
    assert judge.results() == (ExpectationResult(HELLO, 1.0), ExpectationResult(PASS, 2.0))


def test_a_literal_is_no_pattern() -> None:
    judge = Judge([Expectation("hello", "a.c")])
    judge.see(RawLine("hello", b"abc"), 1.0)
    assert not judge.all_seen


def test_other_consoles_do_not_count() -> None:
    judge = Judge([HELLO])
    judge.see(RawLine("dom0", b"hello from FreeRTOS"), 1.0)
    judge.see(RawLine("hello2", b"hello from FreeRTOS"), 1.0)
    assert not judge.all_seen


def test_the_first_that_is_over_decides() -> None:
    judge = Judge([PASS, HELLO])
    assert judge.overdue(9.9) is None
    assert judge.overdue(10.0) == HELLO
    assert judge.overdue(100.0) == HELLO


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_a_guest_never_speaks_for_the_platform(raws: list[bytes]) -> None:
    """Whatever a guest prints on its console, no layer below it is blamed."""
    judge = Judge([HELLO])
    fakes = [b"(XEN) Panic on CPU 0:", b"Kernel panic - not syncing: x", b"lab: FAILED"]
    for raw in [*raws, *fakes]:
        judge.see(RawLine("hello", raw), 1.0)
    assert judge.failure is None


CRASHED = RawLine("dom0", b"[   12.345678] lab: domain hello crashed")


def test_a_crash_decides_unless_it_may_be() -> None:
    """Only dom0's kernel can say it. No guest can say it of itself or of another."""
    judge = Judge([HELLO])
    for console in ("hello", "xen"):
        judge.see(RawLine(console, CRASHED.raw), 1.0)
    judge.see(RawLine("dom0", b"x lab: domain hello crashed"), 1.0)
    judge.see(RawLine("dom0", b"[ 1.0] lab: domain hello crash"), 1.0, whole=False)
    assert not judge.decided(1.0)
    judge.see(CRASHED, 2.0)
    assert judge.decided(2.0)
    verdict = judge.verdict(2.0, {})
    assert (verdict.layer, verdict.exit_status) == (Layer.GUEST, ExitStatus.GUEST)
    assert verdict.reason == "guest hello: its domain crashed after 2 s"
    for may_crash in (["hello"], None):
        other = Judge([HELLO], (), may_crash)
        other.see(CRASHED, 2.0)
        assert not other.decided(2.0)


def test_what_must_never_be_decides() -> None:
    """It counts on its console, or on any. Only whole lines count, because others may go on."""
    judge = Judge([HELLO], [Never("oops", on="hello"), Never("^bad$", regex=True)])
    judge.see(RawLine("dom0", b"oops"), 1.0)
    judge.see(RawLine("dom0", b"bad"), 1.0, whole=False)
    judge.see(RawLine("dom0", b"bad luck"), 1.0)
    assert not judge.decided(1.0)
    judge.see(RawLine("xen", b"bad"), 2.0)
    verdict = judge.verdict(2.0, {})
    assert verdict.layer is Layer.GUEST
    assert "a match of '^bad$' is on the console of xen" in verdict.reason
    assert [one.line for one in judge.never()] == [None, "bad"]


def test_a_panic_says_more_than_a_crash() -> None:
    judge = Judge([HELLO], [Never("Panic")])
    judge.see(CRASHED, 1.0)
    judge.see(RawLine("xen", b"(XEN) [ 1.0] Panic on CPU 0:"), 1.0)
    assert judge.verdict(1.0, {}).layer is Layer.XEN


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / f"{name}.log" for name in ("xen", "dom0", "hello")}
    for path in found.values():
        path.touch()
    return found


def watched(lab: Lab, files: dict[str, Path], *, stopped: bool = False) -> Report:
    async def go() -> Report:
        stop = asyncio.Event()
        if stopped:
            stop.set()
        return await watch(Script(lab, files), stop=stop)

    return asyncio.run(go())


def test_pass(files: dict[str, Path]) -> None:
    files["hello"].write_bytes(b"hello from FreeRTOS\r\n")
    report = watched(lab(HELLO), files)
    assert report.verdict == Verdict(True)
    assert report.results[0].seen is not None


def test_nothing_expected_passes(files: dict[str, Path]) -> None:
    assert watched(lab(), files).verdict.passed


def test_never_seen_names_console_time_and_last_lines(files: dict[str, Path]) -> None:
    files["hello"].write_bytes(b"booting\x1b[2J\nstuck here")
    verdict = watched(lab(Expectation("hello", "hi", within=0.05)), files).verdict
    assert verdict.layer is Layer.GUEST
    assert verdict.exit_status is ExitStatus.GUEST
    assert verdict.reason == "'hi' was not seen on the console of hello within 0.05s"
    assert verdict.tail == "booting\\x1b[2J\nstuck here"


def test_panic_of_xen_is_not_the_guests_fault(files: dict[str, Path]) -> None:
    files["hello"].write_bytes(b"hello from FreeRTOS\n")
    files["xen"].write_bytes(b"(XEN) [ 1.0] Panic on CPU 0:\n(XEN) [ 1.0] why\n")
    verdict = watched(lab(HELLO), files).verdict
    assert (verdict.layer, verdict.exit_status) == (Layer.XEN, ExitStatus.PLATFORM)
    assert verdict.tail.endswith("why")


def test_panic_of_dom0(files: dict[str, Path]) -> None:
    files["dom0"].write_bytes(b"[ 1.0] Kernel panic - not syncing: x\n")
    verdict = watched(lab(HELLO), files).verdict
    assert (verdict.layer, verdict.exit_status) == (Layer.DOM0, ExitStatus.PLATFORM)


def test_machine_that_ends_is_infrastructure(files: dict[str, Path]) -> None:
    verdict = watched(lab(HELLO), files, stopped=True).verdict
    assert (verdict.layer, verdict.exit_status) == (Layer.QEMU, ExitStatus.INFRASTRUCTURE)


def test_errors_become_verdicts() -> None:
    verdict = from_error(ToolstackError("xl refused", tail="why"))
    assert (verdict.layer, verdict.exit_status) == (Layer.TOOLSTACK, ExitStatus.TOOLSTACK)
    assert from_error(ToolstackError("xl refused", hint="look there")).hint == "look there"
    assert from_error(MachineError("gone")).exit_status is ExitStatus.INFRASTRUCTURE


def test_junit_has_a_case_for_each_expectation() -> None:
    bad = failed(Layer.GUEST, "'x' was not seen", "last\x1b line\x00")
    reports = [
        Report("one", bad, (ExpectationResult(HELLO, 1.5), ExpectationResult(PASS)), 60.0),
        Report("two", failed(Layer.XEN, "panic"), (ExpectationResult(HELLO),), 1.0),
        Report("three", Verdict(True), (), 2.0),
    ]
    root = ET.fromstring(junit(reports))
    one, two, three = root.findall("testsuite")
    assert (one.get("tests"), one.get("failures"), one.get("errors")) == ("3", "1", "0")
    _, seen, missed = one.findall("testcase")
    assert (seen.get("classname"), seen.get("time"), len(seen)) == ("one", "1.500", 0)
    failure = missed.find("failure")
    assert failure is not None
    assert failure.get("message") == "guest: 'x' was not seen"
    assert "last\ufffd line\ufffd" in (failure.text or "")
    assert (two.get("failures"), two.get("errors"), two.get("skipped")) == ("0", "1", "1")
    assert [case.get("name") for case in three] == [PLATFORM]


@given(st.text(), st.text())
def test_junit_is_xml_whatever_is_in_it(reason: str, tail: str) -> None:
    verdict = failed(Layer.GUEST, reason, tail)
    ET.fromstring(junit([Report(tail, verdict, (ExpectationResult(Expectation(reason, tail)),))]))
