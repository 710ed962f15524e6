"""A running lab whose machine is a process that only waits: what happens to a wait when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import rundir
from lab.api.context import Context
from lab.api.running_lab import RunningLab
from lab.errors import (
    Dom0Error,
    GuestCrashed,
    HypervisorError,
    MachineError,
    NotSeen,
    UsageError,
)
from lab.model import Door, ProgramRecord, State
from lab.run.live import Live
from lab.rundir import LabDir
from lab.util import process


class Machine:
    """A process in the place of QEMU, and its lab."""

    def __init__(self, folder: Path) -> None:
        self.child = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL)
        began = process.start_time(self.child.pid) or 0
        record = ProgramRecord(Door.HOST, str(self.child.pid), process.boot_id(), began)
        self.run = rundir.new_run(folder, "lab")
        for name in ("xen", "dom0", "g"):
            self.run.console(name).touch()
        live = folder / "live"
        live.mkdir()
        found = Live("lab", LabDir(live), self.run, State.GUESTS, record, "host", kept=False)
        stack = contextlib.ExitStack()
        runner = stack.enter_context(asyncio.Runner())
        stack.callback(self.child.kill)
        self.lab = RunningLab(Context(folder / "labs.yaml"), found, runner, stack)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    found = Machine(tmp_path)
    try:
        yield found
    finally:
        found.lab.close()
        found.child.kill()
        found.child.wait()


def test_the_end_of_qemu_ends_an_expectation(machine: Machine) -> None:
    """It ends at once, not after a minute. The error names the layer and the step."""
    threading.Timer(0.2, machine.child.kill).start()
    start = time.monotonic()
    with pytest.raises(MachineError, match=r"QEMU ended by itself .* waited for 'hello'") as lost:
        machine.lab.guest("g").expect("hello", within=60)
    assert time.monotonic() - start < 10
    assert lost.value.run == machine.lab.run_dir
    assert not machine.lab.alive
    machine.lab.close()
    assert machine.run.manifest()["life"] == "lost"


def test_a_panic_of_xen_ends_an_expectation(machine: Machine) -> None:
    panic = "(XEN) Panic on CPU 0:\n"
    threading.Timer(0.2, lambda: machine.run.console("xen").write_text(panic)).start()
    with pytest.raises(HypervisorError, match="Xen panicked"):
        machine.lab.guest("g").expect("hello", within=60)


def test_a_crash_ends_an_expectation(machine: Machine) -> None:
    """It ends at once; so does a command that is running. Then dom0 can be asked, and the lab is
    not sound."""
    guest = machine.lab.guest("g")
    machine.lab.check()
    words = "lab: domain g crashed\n"
    threading.Timer(0.2, lambda: machine.run.console("dom0").write_text(words)).start()
    start = time.monotonic()
    with pytest.raises(GuestCrashed, match="guest g: its domain crashed") as failed:
        guest.expect("hello", within=60)
    assert failed.value.run == machine.lab.run_dir
    with pytest.raises(GuestCrashed):
        guest.send("hello?")
    machine.lab.xen.skip()
    with pytest.raises(NotSeen, match="'x' was not seen"):
        machine.lab.xen.expect("x", within=0.01)
    machine.lab.check()
    assert machine.lab.alive
    assert not machine.lab.sound
    assert time.monotonic() - start < 20


@pytest.mark.parametrize("panics", [True, False])
def test_what_nobody_waited_for_is_found_by_a_check(machine: Machine, panics: bool) -> None:
    """Once."""
    if panics:
        machine.run.console("xen").write_text("(XEN) Panic on CPU 0:\n")
    else:
        machine.child.kill()
        machine.child.wait()
    assert not machine.lab.sound
    with pytest.raises(HypervisorError if panics else MachineError):
        machine.lab.check()
    if not panics:
        machine.lab.check()


def test_a_guest_cannot_speak_for_xen(machine: Machine) -> None:
    machine.run.console("g").write_text("(XEN) Panic on CPU 0:\nhello\n")
    assert machine.lab.guest("g").expect("hello").line == "hello"


def test_dom0_that_cannot_be_reached_is_dom0s_failure(machine: Machine) -> None:
    """This holds also while the lab only asks what happened to a silent guest."""
    with pytest.raises(Dom0Error, match="cannot be reached"):
        machine.lab.dom0.run("xl list")
    with pytest.raises(Dom0Error, match="cannot list its domains"):
        machine.lab.guest("g").expect("hello", within=0.01)


@pytest.mark.parametrize(("command", "words"), [("", "is empty"), ("a 'b", "split into words")])
def test_commands_that_are_none(machine: Machine, command: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        machine.lab.dom0.run(command)


def test_an_unknown_guest_is_told_the_known_ones(machine: Machine) -> None:
    with pytest.raises(UsageError, match="has no guest nosuch") as wrong:
        machine.lab.guest("nosuch")
    assert wrong.value.hint == "it has: g"


def test_a_stopped_lab_says_so(machine: Machine) -> None:
    guest = machine.lab.guest("g")
    machine.lab.close()
    machine.lab.close()
    for step in (lambda: guest.expect("x"), machine.lab.domains):
        with pytest.raises(UsageError, match="lab lab is stopped"):
            step()


def test_a_coroutine_is_told_to_use_a_thread(machine: Machine) -> None:
    async def test() -> None:
        machine.lab.guest("g").expect("x")

    with pytest.raises(UsageError, match="cannot be called in a coroutine"):
        asyncio.run(test())
