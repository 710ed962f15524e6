"""Reports of a run: cases, JUnit, annotations, summaries; and that guests cannot forge them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.api import Run, ci_output
from lab.model import Act, Expectation, Layer, Never, Step, Threshold, Verdict
from lab.rundir import RunDir
from lab.scenario import (
    ExpectationResult,
    NeverResult,
    Outcome,
    Report,
    StepResult,
    ThresholdResult,
    cases,
    failed,
    github,
    thresholds,
    with_domains,
)
from lab.scenario.junitxml import junit
from lab.scenario.report import PLATFORM
from lab.util import ci

WAIT = Step(Act.WAIT, "hello", "up", line=4)
EXEC = Step(Act.EXEC, text="xl list", line=5)
LATER = Step(Act.WAIT, "hello", "later", line=6)
LIMIT = Threshold("fast", "release_jitter", 200e-6, "p99", line=9)
HOSTILE = "::error file=x::owned\n  ::set-output name=a::b\n##[error]owned\n```\n| a | <b>\x1b[2J"


def report(folder: Path, verdict: Verdict, *steps: StepResult, **more: Any) -> Report:
    log = folder / "hello.log"
    log.write_bytes(b"one\n::error::owned\x1b[2J\xff\n")
    more.setdefault("results", (ExpectationResult(Expectation("hello", "hi", line=2), 1.0),))
    places: dict[str, Any] = {"consoles": {"hello": log}, "file": Path("/w/labs.yaml")}
    return Report("one", verdict, seconds=9.0, steps=steps, **places, **more)


def test_reports_name_another_architecture_than_the_first(tmp_path: Path) -> None:
    passed = report(tmp_path, Verdict(passed=True), arch="arm64")
    root = ET.fromstring(junit([passed]))
    (found,) = root.findall("testsuite/properties/property")
    assert found.attrib == {"name": "arch", "value": "arm64"}
    assert "Lab one &#40;arm64&#41; passed" in github.summary([github.Ran(passed, "", "", ())])
    plain = report(tmp_path, Verdict(passed=True))
    assert not ET.fromstring(junit([plain])).findall("testsuite/properties")


def bad_step(folder: Path) -> Report:
    verdict = failed(Layer.GUEST, "step 2 (labs.yaml:5), exec 'xl list', failed", "last\nlines")
    return report(
        folder, verdict,
        StepResult("1", WAIT, Outcome.PASSED, 0.0, 1.0),
        StepResult("2", EXEC, Outcome.FAILED, 1.0, 2.0, "no", "its output"),
        StepResult("3", LATER),
        never=(NeverResult(Never("oops", line=3)),), thresholds=(ThresholdResult(LIMIT),),
    )  # fmt: skip


def test_there_is_a_case_for_everything(tmp_path: Path) -> None:
    """One case failed. Those that were still open are skipped."""
    found = cases(bad_step(tmp_path))
    assert [(case.name, case.outcome.value, case.line) for case in found] == [
        (PLATFORM, "passed", 0),
        ("hello: hi", "passed", 2),
        ("step 1: wait for 'up' on hello", "passed", 4),
        ("step 2: exec 'xl list'", "failed", 5),
        ("step 3: wait for 'later' on hello", "skipped", 6),
        ("never 'oops' on any console", "passed", 3),
        ("p99 release jitter of fast < 200us", "skipped", 9),
    ]
    assert found[3].tail == "last\nlines"


def test_junit_has_one_failure_with_layer_and_last_lines(tmp_path: Path) -> None:
    root = ET.fromstring(junit([bad_step(tmp_path)]))
    (suite,) = root
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["7", "1", "0", "2"]
    (failure,) = root.iter("failure")
    assert failure.get("type") == "guest"
    assert "layer: guest" in (failure.text or "")
    assert "last\nlines" in (failure.text or "")
    outs = {case.get("name"): case.findtext("system-out") for case in suite}
    assert outs["step 2: exec 'xl list'"] == "its output"
    assert outs["step 1: wait for 'up' on hello"] == "one\n::error::owned\\x1b[2J\\xff"
    assert outs["step 3: wait for 'later' on hello"] is None


def test_junit_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much a guest prints, a report has only the end of it, and is bounded in all."""
    monkeypatch.setattr("lab.scenario.junitxml.MOST_IN_ALL", 50_000)
    many = [StepResult(str(n), WAIT, Outcome.PASSED) for n in range(40)]
    found = report(tmp_path, Verdict(True), *many)
    (tmp_path / "hello.log").write_bytes(b"x" * 1500 + b"\n" + b"y" * 1500 + b"\n" * 3)
    size = len(junit([found]))
    assert size < 50_000 + 40 * 300


def test_a_crash_blames_no_expectation(tmp_path: Path) -> None:
    verdict = failed(Layer.GUEST, "guest hello: its domain crashed", "registers")
    missed = (ExpectationResult(Expectation("hello", "hi")),)
    found = report(tmp_path, verdict, crashed="hello", results=missed)
    assert [case.outcome for case in cases(found)] == [Outcome.FAILED, Outcome.SKIPPED]
    assert with_domains(found, []) == found


@pytest.mark.parametrize(
    ("note", "reason"),
    [("crashed after 12 ms", "crashed after 12 ms"), ("crashed", "crashed after 3 s")],
)
def test_dom0_says_when_it_crashed_if_it_knows(tmp_path: Path, note: str, reason: str) -> None:
    """A lab-fate that was started again knows no time; then the scenario's time stays."""
    verdict = failed(Layer.GUEST, "guest hello: its domain crashed after 3 s", "registers")
    found = replace(report(tmp_path, verdict, crashed="hello"), notes={"hello": note})
    assert with_domains(found, []).verdict.reason == f"guest hello: its domain {reason}"


def test_what_is_below_the_guests_is_an_error(tmp_path: Path) -> None:
    missed = (ExpectationResult(Expectation("hello", "hi")),)
    found = report(tmp_path, failed(Layer.QEMU, "gone"), StepResult("1", WAIT), results=missed)
    outcomes = [case.outcome for case in cases(found)]
    assert outcomes == [Outcome.ERROR, Outcome.SKIPPED, Outcome.SKIPPED]


def test_the_fate_of_a_steps_guest_is_told(tmp_path: Path) -> None:
    step = StepResult("1", WAIT, Outcome.FAILED, reason="no")
    found = report(tmp_path, failed(Layer.GUEST, "no"), step)
    assert with_domains(found, []).verdict.reason == "no; its domain is gone"


# ---------------------------------------------------------------- GitHub


def test_an_annotation_is_at_its_line(tmp_path: Path) -> None:
    (line,) = github.annotate(bad_step(tmp_path), Path("/w"))
    head, text = line.removeprefix("::error ").split("::", 1)
    assert head == "file=labs.yaml,line=5,title=lab one%3A guest"
    assert text.endswith("last lines:%0Alast%0Alines")


def test_what_has_no_line_is_at_its_lab(tmp_path: Path) -> None:
    found = report(tmp_path, failed(Layer.QEMU, "gone"), line=7)
    assert github.annotate(found, Path("/w"))[0].startswith("::error file=labs.yaml,line=7,")


@given(st.text(), st.text())
def test_an_annotation_is_one_line_whatever_is_in_it(reason: str, tail: str) -> None:
    """A message cannot end its own annotation, or set a property of it."""
    found = Report(reason, failed(Layer.GUEST, reason, tail), file=Path("/w/labs.yaml"))
    (line,) = github.annotate(found, Path("/w"))
    assert not re.search(r"[\r\n]", line)
    properties = line.removeprefix("::error ").split("::", 1)[0].split(",")
    assert [one.split("=")[0] for one in properties] == ["file", "line", "title"]


def commands(text: str) -> list[str]:
    """What GitHub's runner takes for commands (ActionCommand.cs): trimmed lines that begin with
    ``::``, and ``##[`` anywhere."""
    return [line for line in text.splitlines() if line.strip().startswith("::") or "##[" in line]


def test_a_console_gives_no_command() -> None:
    assert len(commands(HOSTILE)) == 3
    assert commands(ci.harmless(HOSTILE)) == []
    assert ci.harmless("a::b (::) a ## [x] ok") == "a::b (::) a ## [x] ok"


@given(st.text(alphabet=":#[ \t\nav", max_size=30))
def test_no_text_gives_a_command(text: str) -> None:
    assert commands(ci.harmless(text)) == []
    assert commands("\n".join(f"    {line}" for line in ci.harmless(text).splitlines())) == []


def test_text_is_only_changed_in_a_job() -> None:
    assert ci.shown("::x", {}) == "::x"
    assert ci.shown("::x", {"GITHUB_ACTIONS": "true"}) == r"\x3a:x"


def test_a_summary_holds_text_only(tmp_path: Path) -> None:
    """A console's text stays in its block, and a name in its cell."""
    step = Step(Act.WAIT, "hello", "a | b <img> **c**")
    result = StepResult("1", step, Outcome.FAILED, reason="no")
    ran = github.Ran(report(tmp_path, failed(Layer.GUEST, "`no` | <b>", HOSTILE), result))
    found = github.summary([ran])
    row = next(line for line in found.splitlines() if "step" in line)
    assert row.count("|") == 4
    assert not re.search(r"<|\*\*|`no`", found.split("````text")[0])
    block = found.split("````text\n")[1].split("\n````\n")[0]
    assert block == HOSTILE


def test_a_summary_says_where_the_run_is_and_how_to_repeat_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative to the checkout, and quoted for a shell."""
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    folder = RunDir(tmp_path / "runs" / "one" / "20260101-000000-abcd")
    folder.path.mkdir(parents=True)
    folder.update_manifest(clock="virtual")
    told = replace(bad_step(tmp_path), file=tmp_path / "my labs.yaml")
    found = ci_output.ci_summary([Run(told, folder.path, {}, digest="d1ge57")])
    assert "Run folder: runs&#47;one&#47;20260101&#45;000000&#45;abcd\n" in found
    assert "Digest: d1ge57\n" in found
    assert "```sh\n./inv lab.run one --labs 'my labs.yaml' --clock virtual\n```" in found
    verify = "--verify one/20260101-000000-abcd"
    assert f"```sh\n./inv lab.run one --labs 'my labs.yaml' {verify}\n```" in found
    hosted = ci_output.ci_summary([Run(told, folder.path, {})])
    assert "--verify" not in hosted


def test_a_summary_is_added_or_not(tmp_path: Path) -> None:
    path = tmp_path / "summary"
    path.write_text("before\n")
    assert ci.add_summary("x\n", {"GITHUB_STEP_SUMMARY": str(path)}) == ""
    assert path.read_text() == "before\nx\n"
    assert ci.add_summary("x", {}) == ""
    nowhere = {"GITHUB_STEP_SUMMARY": str(tmp_path)}
    assert "no summary can be written" in ci.add_summary("x", nowhere)


def test_an_error_in_labs_yaml_is_at_its_line() -> None:
    found = ci.errors_of("labs.yaml:3:7: no guest 'x'\nlabs.yaml:4:1: unknown key 'y'")
    assert found[0] == "::error file=labs.yaml,line=3,title=labs.yaml::no guest 'x'"
    assert len(found) == 2
    assert ci.errors_of("no room") == ["::error title=lab::no room"]


# ---------------------------------------------------------------- thresholds


def figures(jitter: float, misses: int = 0) -> dict[str, object]:
    each = {"count": 5, "p99": jitter, "max": jitter}
    row = {"guest": "g", "task": "fast", "misses": misses, "unfinished": 0, "jitter": each}
    empty = row | {"task": "idle", "jitter": None}
    return {"tasks": [row, empty], "wakeups": [{"guest": "g", "task": "fast", "latency": each}]}


def verdict_of(limit: Threshold, found: dict[str, object]) -> Verdict:
    passed = Report("one", Verdict(True), file=Path("/w/labs.yaml"))
    return thresholds.judged(passed, thresholds.check([limit], found)).verdict


def test_a_threshold_that_holds() -> None:
    for limit in (LIMIT, Threshold("fast", "wakeup_latency", 200e-6, "max", "g")):
        assert verdict_of(limit, figures(199e-6)).passed
    assert verdict_of(Threshold("fast", "misses", 2), figures(0, 2)).passed


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (LIMIT, "threshold (labs.yaml:9), p99 release jitter of fast < 200us: it was 201us"),
        (Threshold("fast", "misses", 0), "misses of fast at most 0: it was 3"),
        (Threshold("fats", "misses", 0), "no such task; is it 'fast'?"),
        (Threshold("fast", "misses", 0, "", "h"), "no such task; its periodic tasks: none"),
        (Threshold("idle", "release_jitter", 1.0, "max"), "nothing was measured"),
    ],
)
def test_a_threshold_that_is_broken(limit: Threshold, words: str) -> None:
    """The verdict has exit 1, layer guest and the figure. A missing task breaks it too."""
    verdict = verdict_of(limit, figures(201e-6, 3))
    assert verdict.layer is Layer.GUEST
    assert words in verdict.reason


def test_thresholds_of_a_run_that_failed_are_skipped() -> None:
    bad = Report("one", failed(Layer.GUEST, "no"))
    found = thresholds.judged(bad, (ThresholdResult(LIMIT),))
    assert found.verdict == bad.verdict
    assert cases(found)[1].outcome is Outcome.SKIPPED
