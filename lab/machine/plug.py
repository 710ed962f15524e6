"""Ports that dom0 is given while the machine runs."""

from __future__ import annotations

from typing import Any

from lab.machine import command, wires
from lab.machine.qmp import Qmp
from lab.rundir import LabDir, RunDir


async def console(control: Qmp, lab: LabDir, run: RunDir, guest: str) -> None:
    """A port for a guest's console."""
    wires.lay_console(lab.path, run.console_dir, guest)
    await _port(control, command.port(guest), f"{command.CONSOLES}/{guest}.log")


async def trace(control: Qmp, lab: LabDir, run: RunDir, guest: str) -> None:
    """Ports for a guest's timing trace, as far as they are not there yet."""
    for device, (name, file) in command.guest_trace_ports(guest).items():
        if not (lab.path / f"{device}.in").exists():
            wires.lay_trace(lab.path, device, run.trace_dir / file)
            await _port(control, command.port_of(device, name), f"{command.TRACES}/{file}")


async def _port(control: Qmp, port: dict[str, Any], log: str) -> None:
    device = port["chardev"]
    backend = command.backend(device, log)
    await control.execute("chardev-add", {"id": device, "backend": backend})
    await control.execute("device_add", port)
