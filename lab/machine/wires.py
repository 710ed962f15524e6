"""The ends of the consoles on the host: a FIFO to type into, a file that keeps every byte."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from lab.machine.command import CONSOLES, chardev
from lab.model import Plan


def lay(live: Path, consoles: Path, plan: Plan) -> None:
    """Make both ends of all consoles of a plan, before QEMU opens them.

    ``live`` is the lab's folder of sockets, ``consoles`` the run's folder of logs.
    """
    for name in ("xen", "dom0"):
        lay_one(live, consoles, name, f"{name}.log")
    lay_one(live, consoles, "times", "times")
    lay_guests(live, consoles, (guest.name for guest in plan.guests))


def lay_guests(live: Path, consoles: Path, guests: Iterable[str]) -> None:
    """Make both ends of guests' consoles."""
    for name in guests:
        lay_one(live, consoles, chardev(name), f"{name}.log")


def lay_one(live: Path, consoles: Path, device: str, log: str) -> None:
    """``device.in`` is a FIFO; ``device.out`` leads to the log, as QEMU sees it.

    QEMU's ``pipe`` opens both for reading and writing and creates neither (chardev/char-pipe.c).
    """
    os.mkfifo(live / f"{device}.in", 0o600)
    (consoles / log).touch()
    (live / f"{device}.out").symlink_to(f"{CONSOLES}/{log}")


def input_of(live: Path, console: str) -> Path:
    """The FIFO of a console by its name: ``xen``, ``dom0`` or a guest's."""
    return live / f"{console if console in ('xen', 'dom0') else chardev(console)}.in"
