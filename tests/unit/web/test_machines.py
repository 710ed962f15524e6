"""Tests of what the host knows about the lab of a seat."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import rundir
from lab.model import State
from lab.run import live
from lab.rundir import RunDir
from lab.web import machines
from lab.web.classroom import Seat
from web.seats import lay


@pytest.fixture
def seat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Seat:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setattr(rundir, "runtime_root", lambda: runtime)
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    return lay(tmp_path)


def ran(seat: Seat, last: str) -> RunDir:
    """A lab that was up, and whose machine is gone. ``last``: the last line of Xen's console."""
    run = rundir.new_run(seat.folder / "runs", seat.name)
    run.update_manifest(life=rundir.RUNNING)
    run.console("xen").write_text(f"(XEN) Latest ChangeSet:\n{last}")
    seat.lab.make()
    seat.lab.record(
        name=seat.name, run=str(run.path), state=State.GUESTS, door="rootfs", kept=True,
    )  # fmt: skip
    return run


@pytest.mark.parametrize(
    ("last", "why"),
    [("", "QEMU ended by itself"),
     ("(XEN) Hardware Dom0 crashed: rebooting machine",
      "dom0 ended, and QEMU ended by itself")],
)  # fmt: skip
def test_a_lab_that_ended_says_so_after_another_seats_command(
    seat: Seat, last: str, why: str
) -> None:
    """Any command cleans up after a machine that ended by itself. The page still says what was."""
    run = ran(seat, last)
    assert why in live.sweep()[0]
    now = machines.seen(seat)
    assert (now.state, now.problem, now.run) == ("ended", why, run.path)
    assert "xen" in now.consoles


def test_a_lab_that_was_stopped_is_off(seat: Seat) -> None:
    """A lab that somebody stopped has no problem."""
    ran(seat, "").update_manifest(life=rundir.FINISHED)
    live.forget(seat.lab)
    assert (machines.seen(seat).state, machines.seen(seat).problem) == ("off", "")


def test_a_seat_without_a_run_is_off(seat: Seat) -> None:
    assert machines.seen(seat) == machines.Now("off")


def test_the_last_line_is_that_of_the_last_console_that_said_something(seat: Seat) -> None:
    run = rundir.new_run(seat.folder / "runs", seat.name)
    for name, text in (("xen", "(XEN) a\n"), ("dom0", "dom0\x1b[0m\r\n\r\n"), ("hello", "")):
        run.console(name).write_text(text)
    known = machines.Now(run=run.path, consoles=("xen", "dom0", "hello"))
    assert machines.with_last(known).last == "dom0\\x1b[0m"
    run.console("hello").write_text("x" * (1 << 20) + "\nhalf a li")
    assert machines.with_last(known).last == "half a li"
    assert machines.with_last(machines.Now()) == machines.Now()
