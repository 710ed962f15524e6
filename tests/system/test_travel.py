"""Moments of a run of the past."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from system.world import Said, World

LAB = "periodic"


@pytest.fixture(scope="module")
def traced(world: World) -> World:
    """A world with a run that has a trace."""
    world.run("lab.run", LAB)
    return world


def look(world: World, folder: Path, commands: str, *moment: str, status: int = 0) -> Said:
    """Execute the run again to a moment, and have GDB look at it."""
    script = folder / "look.gdb"
    script.write_text(commands)
    return world.run("lab.debug", LAB, *moment, "--batch", "--command", str(script), status=status)


def test_a_time_has_the_same_registers_each_time(traced: World, tmp_path: Path) -> None:
    """All that QEMU knows of each PCPU, and FreeRTOS's tasks with their stacks."""
    commands = "lab tasks\nlab on everywhere\ninfo registers\nx/64xw $sp\n"
    first, *others = (look(traced, tmp_path, commands, "--at", "0.5s").out for _ in range(3))
    assert re.search(r"^pc +0x[0-9a-f]+", first, re.M), first
    assert re.search(r"^VTTBR +0x[0-9a-f]+", first, re.M), first
    assert others == [first, first]


def test_a_run_stands_before_a_record_of_its_trace(traced: World, tmp_path: Path) -> None:
    """The application's own count of jobs agrees: job 17 has not begun, and is the next or so."""
    where = "job 17 of fast begins"
    said = look(traced, tmp_path, "print tasks[0].done\n", "--before-event", where)
    assert re.search(rf"stands before {where}, 0\.\d+ s after the guests began", said.err), said.err
    done = re.search(r"^\$1 = (\d+)$", said.out, re.M)
    assert done, said.out
    assert 15 <= int(done[1]) <= 17

    wrong = look(traced, tmp_path, "", "--before-event", "job 17 of fats begins", status=2).err
    assert "did you mean 'fast'?" in wrong, wrong
