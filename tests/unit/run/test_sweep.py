"""Labs that change while somebody looks at all labs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import plan as planning
from lab import rundir
from lab.api import Context, labs
from lab.model import Door, HypervisorSpec, Lab, State
from lab.run import live
from lab.run.live import Live
from lab.rundir import LabDir
from lab.util import files, turns

PLAN = planning.plan(Lab("one", HypervisorSpec("stock")))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LabDir:
    base = tmp_path / "r"
    base.mkdir(mode=0o700)
    monkeypatch.setattr(rundir, "runtime_root", lambda: base)
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    return rundir.lab_dir(tmp_path / "runs", "one")


def make(lab: LabDir, runs: Path) -> None:
    lab.make()
    live.record_intent(lab, PLAN, rundir.new_run(runs, "one"), Door.ROOTFS, kept=True)


def test_a_lab_that_comes_up_while_others_clean_up(
    lab: LabDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its command ends just after they read its state: it is not that of a dead command."""
    whole, killed, command = live.find, list[LabDir](), contextlib.ExitStack()
    machine = os.dup(command.enter_context(live.claimed(lab, "one", "lab.up")))
    make(lab, tmp_path / "runs")

    def find(one: LabDir) -> Live | None:
        found = whole(one)
        lab.record(state=State.GUESTS)
        command.close()
        return found

    monkeypatch.setattr(live, "find", find)
    monkeypatch.setattr(live, "_kill", lambda one, _: killed.append(one))
    try:
        assert live.sweep() == []
    finally:
        os.close(machine)
    assert killed == []
    assert lab.path.exists()


def test_nobody_cleans_up_while_a_lab_is_stopped(
    lab: LabDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its machine has ended then, and would be taken for one that died."""
    (tmp_path / "labs.yaml").write_text("labs: {one: {}}\n")
    make(lab, tmp_path / "runs")
    lab.record(state=State.GUESTS)
    machine = files.try_lock(rundir.claim_file(lab))
    assert machine is not None
    seen = list[turns.Holder | None]()

    def kill(*_: object) -> None:
        os.close(machine)
        seen.append(turns.holder(rundir.lock_folder() / "sweep"))

    monkeypatch.setattr(live, "_kill", kill)
    assert [one.name for one in labs.down_lives(Context(tmp_path / "labs.yaml"), "one")] == ["one"]
    assert [one.pid for one in seen if one] == [os.getpid()]
    assert not lab.path.exists()


def test_a_lab_that_gets_its_folder_while_all_are_listed(
    lab: LabDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there once, whether it had its folder yet or not."""
    whole = rundir.all_lab_dirs

    def all_lab_dirs() -> Iterator[LabDir]:
        yield from list(whole())
        make(lab, tmp_path / "runs")

    monkeypatch.setattr(rundir, "all_lab_dirs", all_lab_dirs)
    with live.claimed(lab, "one", "lab.up"):
        assert [one.id for one in live.of_session()] == [lab.id]
        assert [one.id for one in live.of_session()] == [lab.id]
