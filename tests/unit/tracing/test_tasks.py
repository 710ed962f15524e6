"""The tasks trace.*: which run they read, what they write where, what other tasks pay."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from lab import api
from lab.errors import LabError, UsageError
from lab.rundir import RunDir, find_run
from lab.util import process


@pytest.fixture
def context(run: RunDir, tmp_path: Path) -> api.Context:
    """A project with one run of a lab, and an older one of another."""
    ours = tmp_path / "runs" / "periodic" / run.id
    shutil.copytree(run.path, ours)
    (ours.parent / "latest").symlink_to(run.id)
    older = tmp_path / "runs" / "hello" / "20250101-000000-0000"
    (older / "trace").mkdir(parents=True)
    (older.parent / "latest").symlink_to(older.name)
    return api.Context(tmp_path / "labs.yaml")


def test_runs_have_many_names(context: api.Context, run: RunDir) -> None:
    runs = context.runs
    ours = runs / "periodic" / run.id
    for word in (run.id, "latest", "periodic", "periodic/latest", f"periodic/{run.id}", str(ours)):
        found = find_run(runs, word)
        assert found is not None, word
        assert found.path == ours.resolve()
    for word in ("nothing", "periodic/nothing", "*", "../..", "hello/latest/trace"):
        assert find_run(runs, word) is None, word


def test_what_is_wrong_is_said(context: api.Context) -> None:
    with pytest.raises(UsageError, match="there is no run nothing"):
        api.trace_stats(context, "nothing")
    with pytest.raises(UsageError, match="has no trace"):
        api.trace_stats(context, "hello")
    with pytest.raises(UsageError, match="no export to vcd"):
        api.trace_export(context, "latest", "vcd")
    with pytest.raises(LabError, match="cannot be written"):
        api.trace_report(context, "latest", context.runs)


def test_a_lab_without_dom0_cannot_have_a_trace(context: api.Context) -> None:
    """The usual hint, to ask for one in labs.yaml, would not help."""
    found = find_run(context.runs, "hello")
    assert found is not None
    for part, hint in (("hypervisor", "needs dom0"), ("kernel", "`trace:` leaves")):
        found.update_manifest(images={part: {}})
        with pytest.raises(UsageError) as caught:
            api.trace_stats(context, "hello")
        assert hint in (caught.value.hint or "")


def test_a_lab_that_never_ran_is_to_be_run(tmp_path: Path) -> None:
    """Who asks for the trace of a lab of labs.yaml is told how to make one."""
    context = api.Context(tmp_path / "labs.yaml")
    context.file.write_text("labs: {periodic: {guests: []}}\n")
    for word, hint in (("periodic", "make one: ./inv lab.run periodic"), ("latest", "a folder, ")):
        with pytest.raises(UsageError) as caught:
            api.trace_stats(context, word)
        assert (caught.value.hint or "").startswith(hint), word


def test_files_are_where_they_are_said_to_be(context: api.Context, tmp_path: Path) -> None:
    report = api.trace_report(context, "latest")
    assert report == context.runs / "periodic" / report.parent.name / "report.html"
    for to in ("perfetto", "chrome", "csv"):
        assert api.trace_export(context, "latest", to).stat().st_size > 10_000
    out = api.trace_export(context, "latest", "csv", tmp_path / "x.csv")
    assert out.read_bytes() == (report.parent / "timeline.csv").read_bytes()


def test_tables_and_json(context: api.Context) -> None:
    """As a user types it: JSON is JSON, and a guest's words do no harm to a terminal."""
    argv = [sys.executable, "-m", "invoke", "-r", str(Path(__file__).parents[3])]
    labs = ["--labs", str(context.file)]
    done = process.run([*argv, "trace.stats", "periodic", "--json", *labs])
    assert {row["task"] for row in json.loads(done.stdout)["tasks"]} == {"fast", "middle", "slow"}
    for words in (["trace.stats"], ["trace.diff", "periodic", "latest"]):
        done = process.run([*argv, *words, *labs])
        assert done.returncode == 0, done.stderr
        assert b"\x1b" not in done.stdout
        assert done.stdout


def test_runs_that_differ_are_status_1(context: api.Context, run: RunDir) -> None:
    """Exit statuses are those of diff(1). A run without a trace, or no run, is a usage error."""
    other = context.runs / "periodic" / "20250101-000000-0001"
    shutil.copytree(run.path, other)
    records = next((other / "trace").glob("*.records"))
    os.truncate(records, records.stat().st_size // 2)
    argv = [sys.executable, "-m", "invoke", "-r", str(Path(__file__).parents[3]), "trace.diff"]
    labs = ["--labs", str(context.file)]

    def diff(*words: str, status: int) -> str:
        done = process.run([*argv, *words, *labs])
        assert done.returncode == status, done.stderr
        return done.stdout.decode()

    same = json.loads(diff("periodic", "latest", "--json", status=0))
    assert (same["same"], same["figures"]) == (True, [])
    found = json.loads(diff("periodic", other.name, "--json", status=1))
    assert (found["same"], found["exact"]["same"]) == (False, False)
    assert "figures differ" in diff("periodic", other.name, status=1)
    diff("periodic", "hello", status=2)
    diff("periodic", "nothing", status=2)


def test_others_do_not_pay_for_it() -> None:
    """A cached lab.up loads nothing that only traces need."""
    code = (
        "import sys, lab.cli.namespace; lab.cli.namespace.namespace(); "
        "print([m for m in ('numpy', 'perfetto', 'google.protobuf', 'hdrh') if m in sys.modules])"
    )
    done = process.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3])
    assert done.stdout.decode().strip() == "[]"
