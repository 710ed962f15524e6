"""Many labs are asked at once; groups of labs."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import api, plan, rundir
from lab.api import other_sessions
from lab.errors import UsageError
from lab.model import Door, HypervisorSpec, Lab, State
from lab.run import live
from lab.rundir import LabDir
from lab.util import files

LINES = "Domain-0 0 256 1 r----- 3.3\n"


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A session that belongs to the test; labs of other sessions are not seen."""
    folder = Path(tempfile.mkdtemp(prefix="xlu-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(other_sessions, "roots", lambda: [])
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as found:
        yield found


def lab_that_runs(runs: Path, name: str, stack: contextlib.ExitStack) -> LabDir:
    """A lab as it is recorded, without a machine. The test holds its lock."""
    lab = rundir.lab_dir(runs, name)
    lab.make()
    wanted = plan.plan(Lab(name, HypervisorSpec("stock"), description="for tests"))
    run = rundir.new_run(runs, name)
    live.record_intent(lab, wanted, run, Door.ROOTFS, kept=True)
    lab.record(state=State.GUESTS)
    held = files.try_lock(rundir.claim_file(lab))
    assert held is not None
    stack.callback(os.close, held)
    return lab


def answering(lab: LabDir, gate: threading.Barrier, stack: contextlib.ExitStack) -> None:
    """The dom0 of a lab. It answers when all labs were asked."""
    for end in ("in", "out"):
        os.mkfifo(lab.path / f"domains.{end}")
    ends = [os.open(lab.path / f"domains.{end}", os.O_RDWR) for end in ("in", "out")]

    def serve() -> None:
        token = os.read(ends[0], 100).decode().strip()
        with contextlib.suppress(threading.BrokenBarrierError):
            gate.wait(30)
            os.write(ends[1], f"= {token}\n{LINES}. {token}\n".encode())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    for one in ends:
        stack.callback(os.close, one)


def test_all_labs_are_asked_at_once(tmp_path: Path, stack: contextlib.ExitStack) -> None:
    """None answers before all were asked. They are listed in the order of their numbers."""
    names = [f"hello-{number}" for number in range(1, 41)]
    gate = threading.Barrier(len(names))
    for name in sorted(names):
        answering(lab_that_runs(tmp_path / "runs", name, stack), gate, stack)
    found = api.status(api.Context(tmp_path / "labs.yaml"))
    assert [one.name for one in found] == names
    assert [one.problem for one in found] == [""] * 40
    assert all(one.domains and one.running for one in found)
    assert found[0].description == "for tests"


def test_one_that_is_silent_does_not_hide_the_others(
    tmp_path: Path, stack: contextlib.ExitStack
) -> None:
    answering(lab_that_runs(tmp_path / "runs", "one", stack), threading.Barrier(1), stack)
    lab_that_runs(tmp_path / "runs", "two", stack)  # nobody answers for it
    first, second = api.status(api.Context(tmp_path / "labs.yaml"))
    assert first.domains
    assert "dom0 cannot list its domains" in second.problem


def test_labs_of_others_come_later(tmp_path: Path, stack: contextlib.ExitStack) -> None:
    """Labs of another labs.yaml say to whom they belong, and what to type."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "labs.yaml").touch()
    for folder, name in (("b", "a"), ("a", "z")):
        lab = lab_that_runs(tmp_path / folder / "runs", name, stack)
        answering(lab, threading.Barrier(1), stack)
    mine, other = api.status(api.Context(tmp_path / "a" / "labs.yaml"))
    assert (mine.name, mine.where, mine.reach) == ("z", "", "")
    assert (other.name, other.where) == ("a", str(tmp_path / "b"))
    assert other.reach == f"./inv lab.status a --labs {tmp_path / 'b' / 'labs.yaml'}"


def test_another_session_is_another_lab(
    tmp_path: Path, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same labs.yaml and name in another session: not found here, but listed with what to
    type."""
    theirs = lab_that_runs(tmp_path / "runs", "one", stack)
    root = theirs.path.parent
    monkeypatch.setattr(other_sessions, "roots", lambda: [root])
    monkeypatch.setattr(other_sessions, "_lives", lambda _: True)
    folder = tempfile.mkdtemp(prefix="xlu-")
    stack.callback(shutil.rmtree, folder)
    monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
    context = api.Context(tmp_path / "labs.yaml")
    assert context.lab_dir("one").id != theirs.id
    (found,) = api.status(context)
    assert (found.name, found.elsewhere, found.where) == ("one", True, str(root))
    assert found.reach == f"XDG_RUNTIME_DIR={root.parent} ./inv lab.status one"
    with pytest.raises(UsageError, match="lab one does not run") as caught:
        api.execute(context, "one", "true")
    assert found.reach in caught.value.hint
    assert api.down_all(context) == []
    assert theirs.path.exists()
    assert [one.name for one in api.down_all(context, everywhere=True)] == ["one"]


def test_a_mistyped_lab_is_not_to_be_started(tmp_path: Path) -> None:
    """For a lab that is in no labs.yaml the error has the nearest name, not the advice to start
    it."""
    context = api.Context(tmp_path / "labs.yaml")
    context.file.write_text("labs: {hello: {guests: []}}\n")
    with pytest.raises(UsageError, match="no lab 'helo'; did you mean 'hello'"):
        api.execute(context, "helo", "true")
    with pytest.raises(UsageError, match="lab hello does not run"):
        api.execute(context, "hello", "true")


def test_a_pattern_takes_a_group(tmp_path: Path, stack: contextlib.ExitStack) -> None:
    """Only labs of this labs.yaml, in the order of their numbers. If none matches, it is an
    error."""
    context = api.Context(tmp_path / "a" / "labs.yaml")
    for folder, name in (("a", "hello-10"), ("a", "hello-2"), ("a", "other"), ("b", "hello-3")):
        lab_that_runs(tmp_path / folder / "runs", name, stack)
    with pytest.raises(UsageError, match=r"no running lab is named nix-\*") as caught:
        api.down_matching(context, "nix-*")
    assert "hello-2, hello-10, other" in caught.value.hint
    assert [one.name for one in api.down_matching(context, "hello-*")] == ["hello-2", "hello-10"]
    assert [one.name for one in api.down_all(context)] == ["other"]
    assert len(list(rundir.all_lab_dirs())) == 1
