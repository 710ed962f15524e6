"""What QEMU is started with besides its arguments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from lab.machine import launch, qemu_command
from lab.machine.launch import MachineStart
from lab.machine.qemu_command import Memory
from lab.model import Image, Images

ONE = Image("one", Path("/store/one"), "0" * 64, 1, "1" * 64)
LIBRARY = Image("qemu-turns", Path("/store/turns.so"), "2" * 64, 1, "3" * 64)
START = MachineStart(
    cast(Any, None), Images(ONE, None, None, ONE, turns=LIBRARY), Memory.OWN, Path("ram")
)


def test_a_machine_with_the_library_loads_it_first() -> None:
    made = launch.command(["qemu"], [], START)
    (mount,) = made.mounts
    assert (mount.source, mount.target) == (LIBRARY.path, qemu_command.TURNS)
    assert made.env == {"LD_PRELOAD": qemu_command.TURNS}


def test_a_machine_under_the_hosts_clock_has_none() -> None:
    made = launch.command(["qemu"], [], replace(START, images=Images(ONE, None, None, ONE)))
    assert (list(made.mounts), dict(made.env)) == ([], {})


def test_a_recording_takes_turns_by_itself() -> None:
    start = replace(START, stored=cast(Any, "template"), recording=cast(Any, "recording"))
    assert not launch.command(["qemu"], [], start).env
