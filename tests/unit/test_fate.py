"""What happened to the domain of a failed guest. A full disk explains silent consoles."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import rundir, scenario
from lab.errors import Dom0Error, HypervisorError, MachineError, ToolstackError
from lab.machine import console, postmortem
from lab.machine.log_lines import RawLine
from lab.model import Domain, Expectation, Layer, Verdict
from lab.scenario import ExpectationResult, Report
from lab.util import files

FIRST = Expectation("one", "first", within=2.0)
LATER = Expectation("two", "later", within=5.0)


def domain(name: str, state: str) -> Domain:
    return Domain(name, 1, 16 << 20, 1, state, 0.1)


def report(layer: Layer = Layer.GUEST) -> Report:
    verdict = scenario.failed(layer, "not seen", "tail")
    return Report("lab", verdict, (ExpectationResult(LATER), ExpectationResult(FIRST)))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("---c--", "crashed"),
        ("---s--", "shut down"),
        ("--p---", "is paused"),
        ("-b----", "still runs"),
        ("r-----", "still runs"),
    ],
)
def test_the_state_is_said_in_words(state: str, words: str) -> None:
    """The verdict has the state of the guest that failed first, with the letters of xl list."""
    found = scenario.with_domains(report(), [domain("two", "---c--"), domain("one", state)])
    assert found.verdict.reason.startswith("not seen; its domain")
    assert words in found.verdict.reason
    assert state in found.verdict.reason
    assert found.verdict.tail == "tail"


def test_a_domain_that_is_gone() -> None:
    """The verdict says that the domain is gone."""
    assert "is gone" in scenario.with_domains(report(), []).verdict.reason


def test_other_verdicts_stay_as_they_are() -> None:
    """Verdicts of other layers, and passed runs, say nothing about domains."""
    for one in (report(Layer.XEN), Report("lab", Verdict(True), (ExpectationResult(FIRST, 1.0),))):
        assert scenario.with_domains(one, []) == one


def test_a_full_disk_explains_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk console output is lost. Then neither Xen nor dom0 has failed."""
    run = rundir.new_run(tmp_path, "one")
    silence = Dom0Error("no answer")
    assert isinstance(postmortem.no_xen(run, 1.0), HypervisorError)
    assert isinstance(postmortem.silent(run, silence), Dom0Error)
    monkeypatch.setattr(files, "is_full", lambda _: True)
    for error in (postmortem.no_xen(run, 1.0), postmortem.silent(run, silence)):
        assert isinstance(error, MachineError)
        assert "full" in error.message


@pytest.mark.parametrize("words", postmortem.NO_PLACE)
def test_a_dom0_without_a_place_is_told_what_to_do(tmp_path: Path, words: str) -> None:
    """Xen's own message does not help a person who wrote 'memory: 200M'."""
    run = rundir.new_run(tmp_path, "one")
    run.console("xen").write_text(f"(XEN) Panic on CPU 0:\n(XEN) {words}. 72MB unallocated\n")
    error = postmortem.lost(run, console.FAILURES[0], "dom0 to be ready")
    assert isinstance(error, HypervisorError)
    assert "a multiple of 128M" in error.hint
    run.console("xen").write_text("(XEN) Panic on CPU 0:\n(XEN) Assertion failed\n")
    assert "128M" not in postmortem.lost(run, console.FAILURES[0], "dom0 to be ready").hint


def test_tools_that_xen_refuses_are_told_apart_from_a_lost_dom0(tmp_path: Path) -> None:
    """The exit status is the toolstack's, and the hint names the key of labs.yaml."""
    run = rundir.new_run(tmp_path, "one")
    run.console("dom0").write_text("lab: FAILED /usr/sbin/xen-init-dom0: exit status 1\n")
    failure = next(one for one in console.FAILURES if one.layer is Layer.TOOLSTACK)
    error = postmortem.lost(run, failure, "dom0 to be ready")
    assert isinstance(error, ToolstackError)
    assert error.message.startswith("Xen refused dom0's tools")
    assert "tools: source" in error.hint


def test_a_panic_says_more_than_an_end() -> None:
    """dom0's panic is named, and not its end, whichever console is read first."""
    ended = RawLine(
        "xen", b"(XEN) [    9.1] Hardware Dom0 crashed: rebooting machine in 5 seconds."
    )
    panic = RawLine("dom0", b"[    8.0] Kernel panic - not syncing: VFS")
    for lines in ([ended, panic], [panic, ended], [panic]):
        assert console.worst(lines).what == "dom0's kernel panicked"
    assert console.worst([ended]).what == "dom0 ended"
