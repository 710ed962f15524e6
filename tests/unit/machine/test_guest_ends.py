"""How and when a guest ended, in words, as reported by dom0 alone."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from lab import rundir, scenario
from lab.machine import guest_ends
from lab.machine.console import crashed_in
from lab.machine.guest_ends import End
from lab.machine.log_lines import RawLine
from lab.model import Domain, Expectation, Layer
from lab.rundir import RunDir
from lab.scenario import ExpectationResult, Report

OFF = b"[   10.5] lab: domain off powered off (made 8.835177, ended 13.152694)"


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = rundir.new_run(tmp_path, "one")
    for name in ("xen", "dom0", "off", "silent", "loud"):
        run.console(name).write_bytes(b"")
    run.console("loud").write_bytes(b"hello\n")
    return run


def domain(name: str, state: str, ident: int = 1) -> Domain:
    return Domain(name, ident, 16 << 20, 1, state, 3.25)


@pytest.mark.parametrize(
    ("raw", "end"),
    [
        (OFF, End("off", "powered off", 8.835177, 13.152694)),
        (b"<4>lab: domain a crashed", End("a", "crashed")),
        (b"[ 1.0] lab: domain a was ended by its watchdog (made 1.000000, ended 2.000000)",
         End("a", "was ended by its watchdog", 1.0, 2.0)),
        (b"x lab: domain a crashed", None),
        (b"[ 1.0] lab: domain a crashed and more", None),
        (b"[ 1.0] lab: domain a crashed (made 1, ended 2)", None),
    ],
)  # fmt: skip
def test_what_dom0_says(raw: bytes, end: End | None) -> None:
    assert guest_ends.end_in(RawLine("dom0", raw)) == end
    assert guest_ends.end_in(RawLine("a", raw)) is None
    assert guest_ends.end_in(RawLine("xen", raw)) is None


def test_who_powered_off_has_not_crashed() -> None:
    assert crashed_in(RawLine("dom0", OFF)) == ""
    assert crashed_in(RawLine("dom0", OFF.replace(b"powered off", b"crashed"))) == "off"


@pytest.mark.parametrize(
    ("began", "words"),
    [
        (None, "powered off after 4.32 s"),
        (13.128047, "powered off after 25 ms"),  # let run long after it was made
        (5.0, "powered off after 4.32 s"),  # made when others ran already
        (13.2, "powered off after 0.0 ms"),
    ],
)
def test_a_guest_began_when_it_was_made_or_let_run(began: float | None, words: str) -> None:
    end = guest_ends.end_in(RawLine("dom0", OFF))
    assert end is not None
    assert end.words(began) == words


def test_an_end_without_a_time() -> None:
    assert End("a", "crashed").words(1.0) == "crashed"


def test_times_for_people() -> None:
    assert [guest_ends.duration(one) for one in (0.00044, 0.012, 0.9, 1.236, 312.4)] == [
        "0.4 ms", "12 ms", "900 ms", "1.24 s", "312 s",
    ]  # fmt: skip


def test_every_domain_has_its_note(run: RunDir) -> None:
    """If a domain was created again, its last end counts, and only if it has ended."""
    early = OFF.replace(b"ended 13.152694", b"ended 9.000000")
    run.console("dom0").write_bytes(early + b"\r\n" + OFF + b"\r\n")
    run.update_manifest(began=13.128047)
    found = guest_ends.told(run, [domain("Domain-0", "r-----", 0), domain("off", "---s--"),
                            domain("silent", "-b----"), domain("loud", "-b----")])  # fmt: skip
    assert [one.note for one in found] == [
        "", "powered off after 25 ms", "has printed nothing after 3.2 s of CPU time", "",
    ]  # fmt: skip
    assert guest_ends.told(run, [domain("off", "-b----")])[0].note.startswith("has printed nothing")
    assert guest_ends.told(run, [domain("gone", "---c--")])[0].note == ""
    assert guest_ends.told(run, [domain("silent", "--p---")])[0].note == ""
    assert guest_ends.told(run, [domain("../one", "-b----")])[0].note == ""


def test_a_damaged_manifest(run: RunDir) -> None:
    run.update_manifest(began="soon")
    assert guest_ends.began(run) is None


def test_who_watches_a_guest_hears_of_its_end_once(run: RunDir) -> None:
    """Not of another guest's end, nor of an earlier one."""
    log = run.console("dom0")
    log.write_bytes(OFF + b"\n")
    with contextlib.closing(guest_ends.EndWatch(run, "off")) as watch:
        assert watch.news() == ""
        with log.open("ab") as stream:
            stream.write(OFF.replace(b"off", b"other", 1) + b"\n")
            stream.flush()
            assert watch.news() == ""
            stream.write(OFF.replace(b"13.1", b"14.1") + b"\n")
        assert watch.news() == "guest off powered off after 5.32 s"
        assert watch.news() == ""
    with contextlib.closing(guest_ends.EndWatch(run, "off", "crashed")) as watch:
        assert (watch.news(), watch.news()) == ("guest off crashed", "")


# ---------------------------------------------------------------- in verdicts


def report(on: str, crashed: str = "") -> Report:
    verdict = scenario.failed(Layer.GUEST, "not seen")
    return Report("lab", verdict, (ExpectationResult(Expectation(on, "x")),), crashed=crashed)


def test_a_verdict_says_how_the_guest_ended(run: RunDir) -> None:
    run.console("dom0").write_bytes(OFF + b"\n")
    domains = guest_ends.told(run, [domain("off", "---s--"), domain("silent", "r-----")])
    found = scenario.with_domains(report("off"), domains)
    assert found.verdict.reason == "not seen; its domain powered off after 4.32 s (xl list: ---s--)"
    assert found.verdict.hint == ""
    assert found.notes["off"] == "powered off after 4.32 s"


def test_a_verdict_says_that_a_guest_is_silent(run: RunDir) -> None:
    """With what to look at."""
    domains = guest_ends.told(run, [domain("silent", "r-----")])
    found = scenario.with_domains(report("silent"), domains).verdict
    assert "its domain still runs and has printed nothing after 3.2 s of CPU time" in found.reason
    assert found.hint == scenario.SILENCE


def test_a_verdict_says_when_a_guest_crashed(run: RunDir) -> None:
    run.console("dom0").write_bytes(OFF.replace(b"powered off", b"crashed") + b"\n")
    domains = guest_ends.told(run, [domain("off", "---c--")])
    found = scenario.with_domains(report("silent", crashed="off"), domains).verdict
    assert found.reason == "guest off: its domain crashed after 4.32 s"
