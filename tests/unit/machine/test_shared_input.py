"""What is typed to guests that Xen boots: the way there and back fits into the UART's FIFO."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lab.errors import MachineError, UsageError
from lab.machine import shared_console, shared_input
from lab.machine.shared_input import FIFO, KEY, SWITCH
from lab.rundir import LabDir


def consoles(folder: Path, count: int) -> Path:
    """The consoles of a lab without dom0, with guests g1, g2, … as domains 1, 2, …"""
    guests = {number: f"g{number}" for number in range(1, count + 1)}
    shared_console.lay(folder, guests, alone=True)
    return folder


@pytest.mark.parametrize("count", [1, 2, 3])
def test_xen_gives_the_input_away_and_takes_it_back(tmp_path: Path, count: int) -> None:
    """As switch_serial_input of Xen 4.17 counts: Xen, dom0, the guests, and Xen again."""
    folder = consoles(tmp_path, count)
    everybody = ["xen", "dom0", *(f"g{number}" for number in range(1, count + 1))]
    for number in range(1, count + 1):
        before, after, room = shared_input._way(folder, f"g{number}")
        there = before.count(SWITCH)
        assert everybody[there] == f"g{number}"
        assert everybody[(there + after.count(SWITCH)) % len(everybody)] == "xen"
        assert room >= 1
        assert len(before) + room + len(after) == FIFO


def test_too_many_guests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the lab has 4 guests that Xen boots"):
        shared_input._way(consoles(tmp_path, 4), "g1")


def test_who_is_not_known_gets_nothing(tmp_path: Path) -> None:
    """Else dom0 would get it."""
    with pytest.raises(MachineError, match="not known which domain"):
        shared_input._way(consoles(tmp_path, 2), "other")


def test_xens_own_key_is_refused(tmp_path: Path) -> None:
    """Three of them would give the input to somebody else."""
    folder = consoles(tmp_path, 1)
    with pytest.raises(UsageError, match="Ctrl-A cannot be typed"):
        asyncio.run(shared_input.type_into(LabDir(tmp_path), folder, "g1", b"a" + KEY))
    with pytest.raises(MachineError, match="cannot be typed into"):  # there is no machine
        asyncio.run(shared_input.type_into(LabDir(tmp_path), folder, "g1", b"a"))
