"""The guards of a session: states, and machines that end in every way."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import plan as planning
from lab import rundir
from lab.errors import Dom0Error, HypervisorError, LabError, MachineError, UsageError
from lab.model import (
    Command,
    Door,
    HypervisorSpec,
    Image,
    Images,
    Lab,
    Plan,
    ProgramRecord,
    StartOptions,
    State,
)
from lab.packages.lock import MadeUnder
from lab.progress import Progress
from lab.run import session
from lab.run.session import Session
from lab.run.start import Start
from lab.rundir import LabDir, RunDir
from lab.toolchain.program import HostProgram
from lab.util import process
from lab.workshop.prepare import Prepared

PLAN = planning.plan(Lab("one", HypervisorSpec("stock")))


class FakeToolchain:
    """Starts a shell script in place of QEMU; ``$1`` is the run's console folder."""

    def __init__(self, script: str, consoles: Path) -> None:
        self.argv = ["sh", "-c", script, "sh", str(consoles)]
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, _: Command, options: StartOptions) -> HostProgram:
        child = process.spawn(self.argv, log_to=options.log)
        self.started.append(child)
        began = process.start_time(child.pid) or 0
        record = ProgramRecord(Door.ROOTFS, str(child.pid), process.boot_id(), began)
        return HostProgram(record, child)


@pytest.fixture
def lab(tmp_path: Path) -> LabDir:
    found = LabDir(tmp_path / "live")
    found.make()
    return found


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return rundir.new_run(tmp_path / "runs", "one")


@pytest.fixture
def images(tmp_path: Path) -> Images:
    path = tmp_path / "image"
    path.write_bytes(b"x")
    one = Image("x", path, "", 1, "")
    return Images(one, one, one, one)


@pytest.fixture
def power_on(
    lab: LabDir, run: RunDir, images: Images, tmp_path: Path
) -> Iterator[Any]:  # fmt: skip
    """Powers on with a script in place of QEMU, and waits until Xen starts dom0."""
    crowd: list[subprocess.Popen[bytes]] = []

    def go(script: str, plan: Plan = PLAN) -> None:
        toolchain: Any = FakeToolchain(script, run.console_dir)
        prepared = Prepared(toolchain, images, {}, MadeUnder(""))
        start = Start(plan, prepared, lab, run, 0, Progress(quiet=True))
        lab.record(ram=str(tmp_path / "ram"))

        async def boot() -> None:
            async with Session(lab, run) as live:
                await live.power_on(start)
                await live.wait_xen()

        try:
            asyncio.run(boot())
        finally:
            crowd.extend(toolchain.started)

    yield go
    for one in crowd:
        one.kill()
        one.wait()


def test_qemu_that_refuses_its_arguments(power_on: Any) -> None:
    """The error has its exit status, its message, the command line and what was waited for."""
    with pytest.raises(MachineError, match="exit status 7") as caught:
        power_on("echo 'bad option' >&2; exit 7")
    assert "bad option" in caught.value.tail
    assert caught.value.command == ""  # fifteen lines; the manifest has it
    assert "waited for" in caught.value.message


def test_qemu_that_never_listens(power_on: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No control socket in time is QEMU's failure."""
    monkeypatch.setattr(session, "START", 0.1)
    with pytest.raises(MachineError, match="control socket"):
        power_on("exec sleep 60")


@pytest.mark.parametrize(
    ("console", "line", "kind"),
    [
        ("xen", "(XEN) Panic on CPU 0:", HypervisorError),
        ("dom0", "[    1.0] Kernel panic - not syncing: VFS", Dom0Error),
        ("dom0", "lab: FAILED modules: no such file", Dom0Error),
    ],
)
def test_a_panic_wins_over_everything(
    power_on: Any, console: str, line: str, kind: type[LabError]
) -> None:
    """A panic on a console ends the wait, even if QEMU ends right after it."""
    with pytest.raises(kind) as caught:
        power_on(f'echo "{line}" >>"$1/{console}.log"; exit 1')
    assert line in caught.value.tail
    assert str(caught.value).count("what to do") == 1


def test_a_guests_words_do_not_count(power_on: Any) -> None:
    """A line of a guest that looks like a panic of Xen is no panic."""
    with pytest.raises(MachineError):
        power_on('echo "(d1) (XEN) Panic on CPU 0:" >>"$1/xen.log"; exit 1')


def test_every_step_has_its_state(lab: LabDir, run: RunDir) -> None:
    """Waiting for dom0 before Xen, or creating guests before dom0, is refused."""

    async def go(step: str, state: State) -> None:
        async with Session(lab, run, state) as live:
            await getattr(live, step)(*([None, None] if step == "inject" else []))

    for step, state in (("wait_dom0", State.OFF), ("wait_dom0", State.GUESTS),
                        ("inject", State.OFF), ("inject", State.XEN)):  # fmt: skip
        with pytest.raises(UsageError, match="state"):
            asyncio.run(go(step, state))


def test_what_is_recorded_survives_us(lab: LabDir, run: RunDir, power_on: Any) -> None:
    """The machine is recorded before anything is asked of it."""
    with pytest.raises(MachineError):
        power_on("exit 1")
    recorded = lab.state() or {}
    assert recorded["program"]["boot_id"] == process.boot_id()
    assert run.manifest()["command"][0] == "qemu-system-arm"
