"""QEMU's sockets, as far as a session is connected to them. Each takes one connection at a time."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from lab.rundir import LabDir, RunDir

if TYPE_CHECKING:  # a command that only talks to dom0 needs none of them
    from lab.machine import gdbstub, new_ports, qmp


class Sockets:
    """The control socket (QMP) and the gdbstub of one machine.

    ``guarded`` ends a wait as soon as the machine is lost.
    """

    def __init__(self, lab: LabDir, guarded: Callable[..., Awaitable[Any]]) -> None:
        self._lab = lab
        self._guarded = guarded
        self._qmp: qmp.Qmp | None = None
        self._stack = contextlib.AsyncExitStack()

    async def connect_control(self) -> qmp.Qmp:
        """Connect to the control socket, and stay connected until :meth:`close`."""
        from lab.machine import qmp

        opened = self._stack.enter_async_context(qmp.connected(self._lab.qmp_socket))
        control: qmp.Qmp = await self._guarded(opened)
        self._qmp = control
        return control

    async def connect(self) -> tuple[qmp.Qmp, gdbstub.Stub]:
        """Connect to both, and stay connected until :meth:`close`."""
        from lab.machine import gdbstub

        control = await self.connect_control()
        reached = gdbstub.connected(self._lab.gdb_socket, control, self._guarded)
        stub: gdbstub.Stub = await self._guarded(self._stack.enter_async_context(reached))
        return control, stub

    @contextlib.asynccontextmanager
    async def control(self) -> AsyncIterator[qmp.Qmp]:
        """The control socket; where none is kept open, for no longer than the block needs it."""
        if self._qmp:
            yield self._qmp
            return
        from lab.machine import qmp

        async with qmp.connected(self._lab.qmp_socket) as control:
            yield control

    async def plug(self, port: new_ports.Plug, run: RunDir, guest: str) -> None:
        """Give the machine that runs a new port for a guest."""
        async with self.control() as control:
            await port(control, self._lab, run, guest)

    async def close(self) -> None:
        """Leave both to others."""
        self._qmp = None
        await self._stack.aclose()
