"""The ends of the consoles on the host: a FIFO to type into, a file that keeps every byte."""

from __future__ import annotations

import os
from pathlib import Path

from lab.machine.command import chardev, trace_ports
from lab.model import Plan


def lay(live: Path, consoles: Path, traces: Path, plan: Plan) -> None:
    """Make both ends of all consoles and traces of a plan, before QEMU opens them.

    ``live`` is the lab's folder of sockets, ``consoles`` and ``traces`` are the run's folders.
    """
    for name in ("xen", "dom0"):
        lay_one(live, name, consoles / f"{name}.log")
    lay_one(live, "times", consoles / "times")
    for guest in plan.guests:
        lay_console(live, consoles, guest.name)
    for device, (_, file) in trace_ports(plan.lab).items():
        lay_trace(live, device, traces / file)


def lay_console(live: Path, consoles: Path, guest: str) -> None:
    """Make both ends of a guest's console."""
    lay_one(live, chardev(guest), consoles / f"{guest}.log")


def lay_trace(live: Path, device: str, file: Path) -> None:
    """Make both ends of a trace."""
    lay_one(live, device, file)


def lay_one(live: Path, device: str, file: Path) -> None:
    """``device.in`` is a FIFO; ``device.out`` leads nowhere: QEMU adds what goes there to its log.

    QEMU's ``pipe`` opens both for reading and writing and creates neither (chardev/char-pipe.c).
    A restored machine's log begins with what its template said before.
    """
    for end in ("in", "out"):
        (live / f"{device}.{end}").unlink(missing_ok=True)
    os.mkfifo(live / f"{device}.in", 0o600)
    file.touch()
    (live / f"{device}.out").symlink_to("/dev/null")


def input_of(live: Path, console: str) -> Path:
    """The FIFO of a console by its name: ``xen``, ``dom0`` or a guest's."""
    return live / f"{console if console in ('xen', 'dom0') else chardev(console)}.in"
