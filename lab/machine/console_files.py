"""The files that QEMU and the host share: consoles (a FIFO and a log each), memory, images."""

from __future__ import annotations

import os
from pathlib import Path

from lab.machine import shared_console
from lab.machine.qemu_command import (
    CONSOLES,
    IMAGES,
    LIVE,
    RAM,
    STATE,
    TRACES,
    WINDOW_FILE,
    Memory,
    chardev,
    trace_ports,
)
from lab.machine.template import Template
from lab.model import DOMAINS_PORT, WINDOW_SIZE, Clock, Images, Mount, Plan
from lab.util import private


def lay(live: Path, consoles: Path, traces: Path, plan: Plan) -> None:
    """Make the files of a plan's consoles, traces and window, before QEMU opens them.

    ``live`` is the lab's folder of sockets; ``consoles`` and ``traces`` are folders of the run.
    """
    make_memory(live / WINDOW_FILE, WINDOW_SIZE)
    if plan.booted:
        numbers = {number: guest.name for number, guest in enumerate(plan.booted, 1)}
        shared_console.lay(consoles, numbers, alone=plan.lab.without_dom0)
    if plan.lab.without_dom0:
        lay_one(live, "xen", consoles / shared_console.RAW)
        return
    for name in ("xen", "dom0"):
        lay_one(live, name, consoles / f"{name}.log")
    lay_one(live, "times", consoles / "times")
    if plan.machine.clock is Clock.HOST:
        lay_both_ways(live, DOMAINS_PORT)
    for name in plan.guest_consoles:
        lay_console(live, consoles, name)
    for device, (_, file) in trace_ports(plan.lab).items():
        lay_trace(live, device, traces / file)


def lay_console(live: Path, consoles: Path, guest: str) -> None:
    """Make the files of a guest's console."""
    lay_one(live, chardev(guest), consoles / f"{guest}.log")


def lay_trace(live: Path, device: str, file: Path) -> None:
    """Make the files of a trace."""
    lay_one(live, device, file)


def lay_one(live: Path, device: str, file: Path) -> None:
    """Make the FIFO ``device.in``, the link ``device.out`` to /dev/null, and the log ``file``.

    QEMU's ``pipe`` opens both ends for reading and writing, and creates neither
    (chardev/char-pipe.c). It copies all output to the log. A restored machine's log begins with
    the output that its template had.
    """
    for end in ("in", "out"):
        (live / f"{device}.{end}").unlink(missing_ok=True)
    os.mkfifo(live / f"{device}.in", 0o600)
    file.touch()
    (live / f"{device}.out").symlink_to("/dev/null")


def lay_both_ways(live: Path, device: str) -> None:
    """Make the two FIFOs of a port whose answers are read. QEMU holds both of them open."""
    for end in ("in", "out"):
        path = live / f"{device}.{end}"
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)


def input_of(live: Path, console: str) -> Path:
    """The FIFO of a console: ``xen``, ``dom0`` or the name of a guest."""
    return live / f"{console if console in ('xen', 'dom0') else chardev(console)}.in"


def images(found: Images) -> list[Mount]:
    """The images, as QEMU sees them."""
    return [
        Mount(found.hypervisor.path, f"{IMAGES}/xen"),
        *(
            Mount(image.path, f"{IMAGES}/{name}")
            for name, image in found.parts().items()
            if name != "hypervisor"
        ),
    ]


def folders(live: Path, consoles: Path, traces: Path) -> list[Mount]:
    """The folders that QEMU writes to."""
    inside = {live: LIVE, consoles: CONSOLES, traces: TRACES}
    return [Mount(path, target, writable=True) for path, target in inside.items()]


def memory(ram: Path, stored: Template | None, kind: Memory) -> list[Mount]:
    """The machine's memory and its template, as QEMU sees them. It cannot write to a template."""
    mounts = [Mount(ram, RAM, writable=True)] if kind is Memory.OWN else []
    if stored:
        mounts.append(Mount(stored.state, STATE))
        if kind is Memory.TEMPLATE:
            mounts.append(Mount(stored.ram, RAM))
    return mounts


def make_memory(ram: Path, size: int) -> None:
    """Make a machine's memory: a file of ``size`` zeros that takes no room yet."""
    private.folder(ram.parent)
    ram.unlink(missing_ok=True)
    ram.touch(mode=0o600)
    os.truncate(ram, size)
