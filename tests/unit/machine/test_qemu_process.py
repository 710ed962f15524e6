"""A QEMU that is stopped, starved or swapped out. Another program plays its process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lab.machine import qemu_process
from lab.machine.qemu_process import ProcessSample

TAG = f"xenlab-{os.getpid():012x}"


@pytest.fixture
def machine() -> Iterator[subprocess.Popen[bytes]]:
    """A process that looks like the QEMU of a lab."""
    code = "import sys; print('ready', flush=True); sys.stdin.read()"
    argv = ["qemu-system-arm", "-c", code, "-name", f"guest={TAG},debug-threads=on"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, executable=sys.executable, stdin=pipe, stdout=pipe) as found:
        assert found.stdout
        assert found.stdout.readline() == b"ready\n"
        yield found
        found.kill()


def stop(machine: subprocess.Popen[bytes]) -> None:
    machine.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, machine.pid, os.WSTOPPED | os.WNOWAIT)


def test_a_machine_is_found_by_its_lab(machine: subprocess.Popen[bytes]) -> None:
    assert qemu_process.machines()[TAG] == machine.pid
    assert qemu_process.stopped(machine.pid) is None
    assert asyncio.run(qemu_process.why_silent("xenlab-ffffffffffff")) is None


def test_a_stopped_machine_is_named(machine: subprocess.Popen[bytes]) -> None:
    """With its process, and what to do. Once it continues, there is no error."""
    stop(machine)
    for found in (qemu_process.why_stopped(TAG), asyncio.run(qemu_process.why_silent(TAG))):
        assert found is not None
        assert found.message == f"QEMU (process {machine.pid}) is stopped"
        assert found.hint == f"continue it: kill -CONT {machine.pid}"
    machine.send_signal(signal.SIGCONT)
    os.waitid(os.P_PID, machine.pid, os.WCONTINUED | os.WNOWAIT)
    assert qemu_process.stopped(machine.pid) is None


def test_a_stop_that_lasts_ends_a_wait(
    machine: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu_process, "LOOK", 0.01)
    monkeypatch.setattr(qemu_process, "LASTING", 0.1)

    async def go() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await qemu_process.lasting(TAG)
        stop(machine)
        async with asyncio.timeout(30):
            assert "is stopped" in (await qemu_process.lasting(TAG)).message

    asyncio.run(go())


def test_a_starved_machine_is_named(machine: subprocess.Popen[bytes]) -> None:
    """It wants a CPU and gets none. One that sleeps, or shares its CPU, is not starved."""

    def said(cpu: float, waited: float, state: str) -> str:
        before, after = ProcessSample(0.0, 0.0, 0.0, state), ProcessSample(1.0, cpu, waited, state)
        found = qemu_process.judged(machine.pid, before, after)
        return found.message if found else ""

    assert "is starved: it got 2% of a CPU, and waited for one 98%" in said(0.02, 0.98, "R")
    assert "is starved" in said(0.0, 0.0, "R")
    assert said(0.0, 0.01, "S") == ""
    assert said(0.1, 0.9, "R") == ""
    assert said(0.0, 0.0, "D") == ""  # a slow disk, and nothing is swapped out
