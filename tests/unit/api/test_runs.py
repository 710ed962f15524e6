"""Runs that cannot begin: mistakes are reported early, and early failures have a verdict."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from kernel_files import zimage

from lab import api
from lab.api import plans, repetition
from lab.errors import ImageError, UsageError
from lab.model import Clock, Layer, Plan
from lab.progress import Progress
from lab.rundir import RunDir
from lab.workshop.prepare import Prepared


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "k.bin").write_bytes(zimage())
    labs = tmp_path / "labs.yaml"
    labs.write_text("guests: {g: {kernel: k.bin}}\nlabs: {hello: {guests: [g]}}\n")
    return labs


def test_a_report_that_cannot_be_written(file: Path, tmp_path: Path) -> None:
    """The error comes at once, not after minutes. An earlier report in its place is removed at
    once."""
    for wrong in (tmp_path, file / "results.xml"):
        with pytest.raises(UsageError, match="cannot be written"):
            api.run(api.Context(file), "hello", junit=wrong)
    assert not (tmp_path / "runs").exists()


def fails_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(_: api.Context, __: Plan) -> Prepared:
        raise error

    monkeypatch.setattr(plans, "prepare", prepare)


def test_a_lab_that_cannot_be_prepared_has_a_verdict(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is in a run folder and in the report, although no machine was started."""
    fails_with(ImageError("Xen does not compile"), monkeypatch)
    run = api.run(api.Context(file), "hello", junit=tmp_path / "results.xml")
    assert run.report.verdict.layer is Layer.IMAGE
    manifest = RunDir(run.run).manifest()
    assert (manifest["verdict"], manifest["layer"]) == ("fail", "image")
    assert manifest["reason"] == "Xen does not compile"
    assert "Xen does not compile" in (tmp_path / "results.xml").read_text()


def test_a_mistake_of_the_user_leaves_no_run(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_with(UsageError("dom0 has no room"), monkeypatch)
    with pytest.raises(UsageError):
        api.run(api.Context(file), "hello")
    with pytest.raises(UsageError):
        api.up(api.Context(file), "hello")
    assert not (tmp_path / "runs").exists()


def test_repeated_runs_are_numbered(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a line with its number, until one differs from the others."""
    fails_with(ImageError("Xen does not compile"), monkeypatch)
    failed = api.run(api.Context(file), "hello")
    digests = iter(["same", "same", "other", "same"])

    def run(_: api.Context, name: str, *, clock: Clock, cold: bool) -> api.Run:
        assert (name, clock, cold) == ("hello", Clock.VIRTUAL, False)
        return dataclasses.replace(failed, digest=next(digests))

    monkeypatch.setattr(repetition, "run", run)
    heard = io.StringIO()
    found = api.repeat(api.Context(file, progress=Progress(heard)), "hello", 4, jobs=1)
    lines = [line.strip() for line in heard.getvalue().splitlines()]
    assert [line[:12] for line in lines[:3]] == ["run 1 of 4 …", "run 2 of 4 …", "run 3 of 4 …"]
    assert "run 4 of 4" not in heard.getvalue()
    assert len(found.runs) == 3
    assert not found.same
    assert found.other is found.runs[2]


def test_interrupted_repetitions_say_how_many_had_ended(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails_with(ImageError("Xen does not compile"), monkeypatch)
    failed = api.run(api.Context(file), "hello")
    ends = iter(["same", "same", ""])

    def run(_: api.Context, **__: object) -> api.Run:
        if not (digest := next(ends)):
            raise KeyboardInterrupt
        return dataclasses.replace(failed, digest=digest)

    monkeypatch.setattr(repetition, "run", run)
    heard = io.StringIO()
    with pytest.raises(KeyboardInterrupt):
        api.repeat(api.Context(file, progress=Progress(heard)), "hello", 4, jobs=1)
    assert "2 of 4 runs had ended, with one digest" in heard.getvalue()


def test_a_run_without_a_digest_ends_the_others(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It did not come up, so there is nothing to compare."""
    fails_with(ImageError("Xen does not compile"), monkeypatch)
    found = api.repeat(api.Context(file), "hello", 4, jobs=1)
    assert len(found.runs) == 1
    assert found.exit_status == 3
