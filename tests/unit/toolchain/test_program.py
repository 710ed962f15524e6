"""A program is recognised by its identity, never by its pid alone."""

from __future__ import annotations

import dataclasses
import subprocess
import time
from collections.abc import Iterator

import pytest

from lab.model import Door, ProgramRecord
from lab.toolchain.program import HostProgram
from lab.util import process


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(["sh", "-c", "read _", "tag"], stdin=subprocess.PIPE)
    yield child
    assert child.stdin
    child.stdin.close()
    child.kill()
    child.wait()


def record(child: subprocess.Popen[bytes]) -> ProgramRecord:
    started = process.start_time(child.pid)
    assert started is not None
    return ProgramRecord(Door.ROOTFS, str(child.pid), process.boot_id(), started, "tag")


def test_a_running_program_is_alive_and_killed(sleeper: subprocess.Popen[bytes]) -> None:
    """It is found by its record alone, as another command would."""
    program = HostProgram(record(sleeper))
    assert program.alive()
    assert program.returncode() is None
    program.kill()
    assert not program.alive()
    assert sleeper.wait(5) == -9


@pytest.mark.parametrize(
    "change", [{"start_time": 1}, {"boot_id": "another"}, {"tag": "another lab's"}]
)
def test_a_stranger_with_the_same_pid_is_left_alone(
    sleeper: subprocess.Popen[bytes], change: dict[str, object]
) -> None:
    """The pid belongs to somebody else now, the host was restarted, or it is another lab's."""
    program = HostProgram(dataclasses.replace(record(sleeper), **change))  # type: ignore[arg-type]
    assert not program.alive()
    assert program.wait(0)
    program.kill()
    assert sleeper.poll() is None


def test_wait_returns_at_the_end_not_after_the_timeout() -> None:
    """It waits for the process itself."""
    child = subprocess.Popen(["sleep", "0.2"])
    program = HostProgram(dataclasses.replace(record(child), tag=""), child)
    before = time.monotonic()
    assert not program.wait(0.01)
    assert program.wait(20)
    assert time.monotonic() - before < 5
    assert program.returncode() == 0


def test_killing_what_has_ended_is_harmless() -> None:
    """Also twice."""
    child = subprocess.Popen(["true"])
    made = ProgramRecord(Door.ROOTFS, str(child.pid), process.boot_id(), 1)
    child.wait()
    HostProgram(made).kill()
    HostProgram(made).kill()
