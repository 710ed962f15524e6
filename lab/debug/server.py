"""Serves GDB at a socket of the live lab's folder, while this process has QEMU's gdbstub."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from lab.debug.machine_view import MachineView
from lab.debug.monitor import LabMonitor
from lab.debug.packets import LARGEST, Client
from lab.debug.stopped import VIRTUALLY, Stopped
from lab.errors import BusyError, LabError
from lab.machine import gdbstub
from lab.machine.gdbstub import Stub
from lab.rundir import LabDir

#: The socket at which GDB finds the proxy, in the live lab's folder.
SOCKET = "debug.sock"


class Server:
    """A proxy that waits for GDBs, one at a time.

    Attributes:
        monitor: what GDB's commands ask.
        failure: the error that ended the machine, if one did.
    """

    def __init__(self, monitor: LabMonitor) -> None:
        self.monitor = monitor
        self.failure: LabError | None = None
        self._client: Client | None = None
        self._serving: asyncio.Task[None] | None = None

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one GDB. Others are turned away meanwhile."""
        client = Client(reader, writer)
        if self._client:
            await client.close()
            return
        self._client, self._serving = client, asyncio.current_task()
        try:
            await self.monitor.proxy.serve(client)
        except LabError as error:
            self.failure = error
        except asyncio.CancelledError:  # the end of our command; asyncio would print a traceback
            pass
        finally:
            self._client = None
            with contextlib.suppress(OSError):
                await client.close()

    async def hang_up(self) -> None:
        """Leave the GDB that is served, and wait until the machine stands without its breakpoints.

        A run of the past may take long to stand, and ends with us.
        """
        if not self._client or not self._serving:
            return
        if self.monitor.proxy.runner.travel:
            self._serving.cancel()
        await self._client.close()
        await asyncio.wait([self._serving])


async def look(stub: Stub, dump: Callable[[int, int], Awaitable[bytes]],
               names: Mapping[int, str]) -> LabMonitor:  # fmt: skip
    """A monitor for a machine that stands still at this gdbstub."""
    stopped = Stopped(stub)
    await stub.ask(b"?")  # QEMU forgets breakpoints that a client left behind
    await stopped.learn()
    return LabMonitor(MachineView(stopped), dump, names)


@contextlib.asynccontextmanager
async def listening(lab: LabDir, monitor: LabMonitor) -> AsyncIterator[Server]:
    """Wait for GDBs at the socket, while the block runs."""
    server = Server(monitor)
    place = lab.path / SOCKET
    place.unlink(missing_ok=True)
    accepting = await asyncio.start_unix_server(server.take, place, limit=LARGEST)
    try:
        async with accepting:
            try:
                yield server
            finally:
                await server.hang_up()
    finally:
        place.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def attached(
    lab: LabDir, *, stays: bool = False, holding: Callable[[bool], None] = lambda _: None
) -> AsyncIterator[Stub]:
    """The gdbstub of a lab. The machine stands still in the block; if it ``stays``, also after it.

    ``holding`` is told when we have the machine, and when we have let it go.

    Raises:
        BusyError: another debugger has it; the error names its process.
        MachineError: the machine is gone.
    """
    try:
        async with gdbstub.connected(lab.gdb_socket, None, _plain) as stub:
            holding(True)
            try:
                yield stub
            finally:
                with contextlib.suppress(LabError):
                    await stub.ask(VIRTUALLY)
                    if not stays:
                        await stub.leave()
                    holding(False)
    except BusyError as error:
        raise BusyError(
            f"the lab is being debugged already: {error.message}",
            hint="leave the other debugger, or use it",
        ) from error


async def _plain(answer: Awaitable[bytes]) -> bytes:
    return await answer
