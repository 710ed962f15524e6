"""What says how a failed run is seen in GDB, and where that does not work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.api import Run, ci_summary, replaying
from lab.api.runs import _with_debugger
from lab.model import Expectation, Layer, Threshold, Verdict
from lab.run.crash_cores import CoreWords, explained, wanted
from lab.rundir import RunDir
from lab.scenario import ExpectationResult, Report, ThresholdResult, failed
from lab.scenario.junitxml import junit

LABS = Path("labs.yaml")
COMMAND = "./inv lab.debug hello/20260101-000000-abcd --before-failure"


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run under the virtual clock, which was decided after 2.5 s."""
    folder = RunDir(tmp_path / "hello" / "20260101-000000-abcd")
    folder.console_dir.mkdir(parents=True)
    folder.console("dom0").touch()
    images: dict[str, Any] = {"xen": {}, "kernel": {}}
    folder.update_manifest(lab="hello", clock="virtual", arch="arm32", images=images)
    (folder.path / "scenario.json").write_text(json.dumps({"what": "decided", "after": 2.5}) + "\n")
    return folder


def report(layer: Layer = Layer.GUEST, **more: Any) -> Report:
    missed = ExpectationResult(Expectation("hello", "never", within=2.0))
    return Report("hello", failed(layer, "it failed", "last line"), (missed,), **more)


def test_junit_and_the_job_page_end_with_the_command(run: RunDir) -> None:
    """In both it is complete, so that it can be pasted."""
    told = _with_debugger(run, report(), LABS)
    assert told.verdict.tail.splitlines()[-1] == f"in GDB: {COMMAND}"
    assert f"in GDB: {COMMAND}\n" in junit([told]).decode()
    page = ci_summary([Run(told, run.path, {})])
    assert f"See the failure in GDB:\n\n```sh\n{COMMAND}\n```" in page


def test_a_broken_limit_has_the_command_too(run: RunDir) -> None:
    limit = Threshold("slow", "misses", 0.0, guest="hello")
    told = replace(report(), results=(), thresholds=(ThresholdResult(limit, 3, "3 is too many"),))
    assert f"in GDB: {COMMAND}\n" in junit([_with_debugger(run, told, LABS)]).decode()


def test_another_labs_file_is_named(run: RunDir) -> None:
    assert replaying.command(run, report(), Path("my labs.yaml")) == (
        "./inv lab.debug hello/20260101-000000-abcd --before-failure --labs 'my labs.yaml'"
    )


@pytest.mark.parametrize(
    "changed", [{"clock": "host"}, {"images": {"xen": {}}}], ids=["host's clock", "without dom0"]
)  # fmt: skip
def test_where_it_does_not_work_there_is_none(run: RunDir, changed: dict[str, Any]) -> None:
    run.update_manifest(**changed)
    assert _with_debugger(run, report(), LABS) == report()
    assert "lab.debug" not in ci_summary([Run(report(), run.path, {})])


def test_a_run_that_was_not_decided_has_none(run: RunDir) -> None:
    """A console that said too much ends a run with an error."""
    (run.path / "scenario.json").unlink()
    assert replaying.command(run, report(), LABS) == ""


def test_only_what_a_guest_did_wrong_has_it(run: RunDir) -> None:
    assert replaying.command(run, report(Layer.DOM0), LABS) == ""
    assert replaying.command(run, Report("hello", Verdict(True)), LABS) == ""


# ------------------------------------------------------------ core files


def test_a_failed_run_leaves_cores_of_what_failed(run: RunDir) -> None:
    """Those that crashed, and the one that did not say what was expected of it."""
    run.console("dom0").write_text("lab: domain other crashed\nlab: domain third powered off\n")
    assert wanted(run, report()) == ["other", "hello"]
    assert wanted(run, report(crashed="hello")) == ["hello", "other"]
    assert wanted(run, Report("hello", Verdict(True))) == []
    assert wanted(run, Report("hello", Verdict(True)), all_of=["a", "b"]) == ["a", "b"]


def test_a_core_that_is_not_there_is_not_told(run: RunDir) -> None:
    words = CoreWords(run, None, LABS)  # type: ignore[arg-type]
    assert explained(report(), words) == report()


def test_why_there_is_no_core_is_told(run: RunDir) -> None:
    run.event("no core file", of=["hello"], reason="its domain does not exist any more")
    told = explained(report(crashed="hello"), CoreWords(run, None, LABS))  # type: ignore[arg-type]
    assert told.verdict.tail == (
        "last line\n\nhello left no core file: its domain does not exist any more"
    )


def test_a_guest_that_did_not_crash_has_its_core_named(run: RunDir) -> None:
    (run.path / "core").mkdir()
    (run.path / "core" / "hello.core").touch()
    told = explained(report(), CoreWords(run, None, LABS))  # type: ignore[arg-type]
    assert told.verdict.tail == (
        "last line\n\nhello at the end of the run: "
        "./inv lab.core hello/20260101-000000-abcd --on hello"
    )
