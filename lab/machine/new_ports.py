"""Ports that dom0 is given while the machine runs.

Whoever gives it one holds QEMU's control socket, so that of several who want the same port one
makes it. What a killed command has half made is completed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from lab.errors import MachineError
from lab.machine import command, console_files
from lab.rundir import LabDir, RunDir

if TYPE_CHECKING:
    from lab.machine.qmp import Qmp

#: Gives a machine what one guest needs.
Plug: TypeAlias = "Callable[[Qmp, LabDir, RunDir, str], Awaitable[None]]"
#: What QEMU says of a chardev that another port has already (chardev/char-fe.c).
TAKEN = "in use"


async def console(control: Qmp, lab: LabDir, run: RunDir, guest: str) -> None:
    """A port for a guest's console, if it has none yet."""

    def lay() -> None:
        console_files.lay_console(lab.path, run.console_dir, guest)

    await _port(control, command.port(guest), f"{command.CONSOLES}/{guest}.log", lay)


async def trace(control: Qmp, lab: LabDir, run: RunDir, guest: str) -> None:
    """Ports for a guest's timing trace, as far as they are not there yet."""
    for device, (name, file) in command.guest_trace_ports(guest).items():

        def lay(device: str = device, file: str = file) -> None:
            console_files.lay_trace(lab.path, device, run.trace_dir / file)

        await _port(control, command.port_of(device, name), f"{command.TRACES}/{file}", lay)


async def _port(control: Qmp, port: dict[str, Any], log: str, lay: Callable[[], None]) -> None:
    """``lay`` makes both ends of the port on the host."""
    device = port["chardev"]
    there = any(one["label"] == device for one in await control.execute("query-chardev"))
    if not there:
        lay()
        backend = command.backend(device, log)
        await control.execute("chardev-add", {"id": device, "backend": backend})
    try:
        await control.execute("device_add", port)
    except MachineError as error:
        if not (there and TAKEN in error.message):
            raise
