"""Adds ports to dom0 while the machine runs.

A command that adds one holds QEMU's control socket. So if several want the same port, only one
makes it. If a killed command left a port half made, the next one completes it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from lab.errors import MachineError
from lab.machine import console_files, qemu_command
from lab.rundir import LabDir, RunDir

if TYPE_CHECKING:
    from lab.machine.qmp import Qmp

#: Adds to a machine the ports that one guest needs.
Plug: TypeAlias = "Callable[[Qmp, LabDir, RunDir, str], Awaitable[None]]"
#: QEMU's words if a chardev already has a port (chardev/char-fe.c).
TAKEN = "in use"


async def console(control: Qmp, lab: LabDir, run: RunDir, guest: str) -> None:
    """Add a port for a guest's console, if it has none yet."""

    def lay() -> None:
        console_files.lay_console(lab.path, run.console_dir, guest)

    await _port(control, qemu_command.port(guest), f"{qemu_command.CONSOLES}/{guest}.log", lay)


async def trace(control: Qmp, lab: LabDir, run: RunDir, guest: str) -> None:
    """Add the ports for a guest's timing trace that are not there yet."""
    for device, (name, file) in qemu_command.guest_trace_ports(guest).items():

        def lay(device: str = device, file: str = file) -> None:
            console_files.lay_trace(lab.path, device, run.trace_dir / file)

        await _port(
            control, qemu_command.port_of(device, name), f"{qemu_command.TRACES}/{file}", lay
        )


async def _port(control: Qmp, port: dict[str, Any], log: str, lay: Callable[[], None]) -> None:
    """Add a port. ``lay`` makes its files on the host."""
    device = port["chardev"]
    there = any(one["label"] == device for one in await control.execute("query-chardev"))
    if not there:
        lay()
        backend = qemu_command.backend(device, log)
        await control.execute("chardev-add", {"id": device, "backend": backend})
    try:
        await control.execute("device_add", port)
    except MachineError as error:
        if not (there and TAKEN in error.message):
            raise
