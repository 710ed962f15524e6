"""Who holds a lab, and what dead commands leave."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from lab import plan as planning
from lab import rundir
from lab.errors import BusyError, UsageError
from lab.model import Door, HypervisorSpec, Lab, ProgramRecord, State
from lab.run import claim, live
from lab.rundir import LabDir, RunDir
from lab.util import files, process

#: Claims the lab named by its arguments, says so, and waits for the end of its input.
HOLDER = """
import sys
from pathlib import Path
from lab import plan, rundir
from lab.run import live
from lab.model import HypervisorSpec, Lab
runs, root = map(Path, sys.argv[1:])
rundir.runtime_root = lambda: root
lab = rundir.lab_dir(runs, "one")
with live.claimed(lab, "one", "lab.up"):
    lab.make()
    lab_ = plan.plan(Lab("one", HypervisorSpec("stock")))
    live.record_intent(lab, lab_, rundir.RunDir(runs), "rootfs", kept=True)
    print("held", flush=True)
    sys.stdin.read()
"""

#: What is recorded of the lab ``one``.
PLAN = planning.plan(Lab("one", HypervisorSpec("stock")))


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime folder and a cache that belong to the test."""
    base = tmp_path / "r"
    base.mkdir(mode=0o700)
    monkeypatch.setattr(rundir, "runtime_root", lambda: base)
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def lab(tmp_path: Path) -> LabDir:
    return rundir.lab_dir(tmp_path / "runs", "one")


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    found = rundir.new_run(tmp_path / "runs", "one")
    found.update_manifest(life=rundir.RUNNING)
    return found


def prepare(lab: LabDir, run: RunDir, *, kept: bool = True) -> None:
    """Do what a command does before it starts the machine."""
    lab.make()
    live.record_intent(lab, PLAN, run, Door.ROOTFS, kept=kept)
    live.ram_file(lab).parent.mkdir(parents=True, exist_ok=True)
    live.ram_file(lab).touch()


@pytest.fixture
def machine(lab: LabDir) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts a process that looks like a lab's sandbox: it carries the tag and holds the lock."""
    started = []

    def start() -> subprocess.Popen[bytes]:
        words = ["bwrap", "-c", "import time; time.sleep(100)", "--setenv", "LAB_TAG", lab.tag]
        with rundir.claim_file(lab).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = subprocess.Popen(words, executable=sys.executable, pass_fds=[lock.fileno()])
        started.append(found)
        # The kernel shows a new program's arguments a moment after its start is reported.
        while lab.tag.encode() not in Path(f"/proc/{found.pid}/cmdline").read_bytes():
            assert found.poll() is None
        return found

    yield start
    for one in started:
        one.kill()
        one.wait()


def holder_of(tmp_path: Path) -> list[str]:
    return [sys.executable, "-c", HOLDER, str(tmp_path / "runs"), str(tmp_path / "r")]


def record_of(child: subprocess.Popen[bytes]) -> ProgramRecord:
    started = process.start_time(child.pid)
    assert started is not None
    return ProgramRecord(Door.ROOTFS, str(child.pid), process.boot_id(), started)


def test_a_lab_has_one_holder(lab: LabDir) -> None:
    """A second claim is refused and names the first; afterwards it is free again."""
    with live.claimed(lab, "one", "lab.up"):
        with pytest.raises(BusyError, match=rf"process {os.getpid()} \(lab.up\) for 0 s"):
            live.claimed(lab, "one", "lab.run").__enter__()
        assert claim.maker(lab) is not None
    assert claim.maker(lab) is None
    with live.claimed(lab, "one", "lab.run"):
        pass


def test_a_machine_in_a_container_holds_the_twin(lab: LabDir, run: RunDir) -> None:
    """It cannot inherit the lock, so it locks the twin: the lab is taken, and no sweep touches
    it."""
    with live.claimed(lab, "one", "lab.up"):
        lab.make()
        live.record_intent(lab, PLAN, run, Door.DOCKER, kept=True)
        lab.record(state=State.GUESTS)
    handle = files.try_lock(files.twin(rundir.claim_file(lab)))
    assert handle is not None
    assert live.sweep() == []
    with pytest.raises(BusyError), live.claimed(lab, "one", "lab.up"):
        pass
    os.close(handle)
    assert len(live.sweep()) == 1
    assert live.find(lab) is None


def test_of_many_at_once_one_wins(tmp_path: Path) -> None:
    """If several processes claim one lab at the same time, exactly one gets it."""
    argv = holder_of(tmp_path)
    pipe = subprocess.PIPE
    crowd = [subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(4)]
    losers = [one for one in crowd if _ended(one, crowd)]
    winners = [one for one in crowd if one not in losers]
    for one in winners:
        one.communicate(timeout=10)
    assert len(winners) == 1
    assert all(b"(lab.up) for " in one.communicate(timeout=10)[1] for one in losers)


def _ended(one: subprocess.Popen[bytes], crowd: list[subprocess.Popen[bytes]]) -> bool:
    """Whether it ended before we killed it, once all but one did."""
    end = time.monotonic() + 20
    while sum(other.poll() is None for other in crowd) > 1:
        assert time.monotonic() < end
        time.sleep(0.01)
    return one.poll() is not None


def test_a_killed_command_leaves_no_lab(tmp_path: Path, lab: LabDir) -> None:
    """kill -9 of the holder: its lab is swept, and a message says so."""
    argv = holder_of(tmp_path)
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        assert live.sweep() == []
        assert claim.maker(lab) is not None
        holder.send_signal(signal.SIGKILL)
    assert len(live.sweep()) == 1
    assert not lab.path.exists()


def test_down_interrupts_the_command(tmp_path: Path, lab: LabDir) -> None:
    """A command that is at work on a lab is asked to stop, and does."""
    argv = holder_of(tmp_path)
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        assert claim.interrupt(lab, "lab.down")
        assert holder.wait(10) == -signal.SIGINT
    assert not claim.interrupt(lab, "lab.down")


def test_our_own_lab_is_not_interrupted(lab: LabDir) -> None:
    """A command that stops its own lab does not interrupt itself."""
    with live.claimed(lab, "one", "lab.run"):
        assert not claim.interrupt(lab, "lab.down")


def test_what_was_started_but_not_recorded_is_found(
    lab: LabDir, run: RunDir, machine: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """A machine without a record is found by the tag in its command line."""
    prepare(lab, run)
    stray = machine()
    live.sweep()
    assert stray.wait(5) == -signal.SIGKILL
    assert not lab.path.exists()
    assert not live.ram_file(lab).exists()
    assert run.manifest()["life"] == rundir.LOST


def test_a_machine_whose_folder_is_gone_is_ended(
    lab: LabDir, run: RunDir, machine: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """Somebody removed the folder while the lab ran, so nobody can reach its machine."""
    child = machine()
    prepare(lab, run)
    lab.record(program=asdict(record_of(child)), state=State.GUESTS)
    assert live.sweep() == []
    shutil.rmtree(lab.path)
    assert "was removed while it ran" in live.sweep()[0]
    assert child.wait(10) == -signal.SIGKILL
    assert live.sweep() == []
    with live.claimed(lab, "one", "lab.up"):
        assert live.sweep() == []


def test_a_lab_that_runs_is_left_alone(
    lab: LabDir, run: RunDir, machine: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """A lab that came up outlives its command; sweeping does not touch it."""
    prepare(lab, run)
    child = machine()
    lab.record(program=asdict(record_of(child)), state=State.GUESTS)
    assert live.sweep() == []
    assert child.poll() is None
    assert live.running(lab, "one").record == record_of(child)


def test_a_machine_that_is_not_kept_ends_with_its_command(
    lab: LabDir, run: RunDir, machine: Callable[[], subprocess.Popen[bytes]]
) -> None:
    """What `lab.run` started ends with `lab.run`, also after its guests ran."""
    prepare(lab, run, kept=False)
    child = machine()
    lab.record(program=asdict(record_of(child)), state=State.GUESTS)
    assert "the command that started it died" in live.sweep()[0]
    assert child.wait(5) == -signal.SIGKILL


def test_a_machine_that_ended_is_cleaned_up(lab: LabDir, run: RunDir) -> None:
    """A lab whose QEMU ended no longer holds a lock."""
    prepare(lab, run)
    lab.record(state=State.GUESTS)
    assert "QEMU ended by itself" in live.sweep()[0]
    assert live.find(lab) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"name": "one"}', '{"name": "x", "run": 5, "state": "off"}',
     '{"name": "x", "run": "/r", "state": "nonsense", "door": "", "kept": true}',
     '{"name": "x", "run": "/r", "state": "off", "door": "", "kept": true, "program": 7}',
     '{"name": "x", "run": "/r", "state": "off", "door": "", "kept": true, "program": {"a": 1}}'],
)  # fmt: skip
def test_a_damaged_record_is_no_lab(lab: LabDir, text: str) -> None:
    """Whatever the record holds: no lab, no crash, and sweeping removes it."""
    lab.make()
    lab.state_file.write_text(text)
    assert live.find(lab) is None
    live.sweep()
    assert not lab.path.exists()


def test_a_lab_is_used_only_when_it_runs(lab: LabDir, run: RunDir) -> None:
    """Neither a missing lab nor one that still boots can be used; the messages differ."""
    with pytest.raises(UsageError, match="does not run"):
        live.running(lab, "one")
    prepare(lab, run)
    with pytest.raises(UsageError, match="is being prepared"):
        live.running(lab, "one")


def test_the_memory_is_where_it_was_put(
    lab: LabDir, run: RunDir, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A command with another cache still finds and removes the memory file."""
    prepare(lab, run)
    ram = live.ram_file(lab)
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "other"))
    live.sweep()
    assert not ram.exists()


def test_a_run_folder_that_is_gone_keeps_nothing(lab: LabDir, run: RunDir) -> None:
    """Somebody removed the runs: the lab is still cleaned up."""
    prepare(lab, run)
    shutil.rmtree(run.path)
    live.sweep()
    assert not lab.path.exists()
