"""QEMU's control channel (QMP), with a time limit on everything.

The protocol is in docs/interop/qmp-spec.rst of QEMU. The client is ``qemu.qmp``, whose
``execute`` has no time limit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from socket import socket as Socket
from typing import Any

from qemu.qmp import ConnectError, ExecuteError, QMPClient, QMPError, Runstate

from lab.errors import MachineError
from lab.util import sockets, turns

#: Seconds within which QEMU answers a command. It takes milliseconds unless it is stuck.
ANSWER = 10.0
#: Seconds that a command waits for its turn at the socket.
TURN = 60.0
#: The state of a machine that a breakpoint has stopped (qapi/run-state.json).
AT_BREAKPOINT = "debug"


class Qmp:
    """A connection to a running QEMU. ``gone`` is set when the connection ends."""

    def __init__(self, client: QMPClient) -> None:
        self._client = client
        self.gone = asyncio.Event()
        self._watcher = asyncio.create_task(self._watch())

    async def execute(
        self, command: str, arguments: Mapping[str, Any] | None = None, within: float = ANSWER
    ) -> Any:
        """Run a command and return its result.

        Raises:
            MachineError: QEMU refused it, is gone, or did not answer in time.
        """
        try:
            async with asyncio.timeout(within):
                return await self._client.execute(command, dict(arguments or {}))
        except ExecuteError as error:
            raise MachineError(f"QEMU refused {command}: {error}") from error
        except TimeoutError as error:
            raise MachineError(
                f"QEMU did not answer {command} within {within:g} s",
                hint="the machine may be stuck: stop it with lab.down",
            ) from error
        except (QMPError, OSError) as error:
            raise MachineError(f"the connection to QEMU ended during {command}") from error

    async def run_to_stop(self, *states: str) -> str:
        """Let the machine run until it stops, in one of these states, or at a breakpoint if none
        is given. Returns the state. There is no time limit.

        Raises:
            MachineError: QEMU is gone, or the machine stopped for another reason.
        """
        with self._client.listener("STOP") as stops:
            await self.execute("cont")
            waits = [asyncio.ensure_future(stops.get()), asyncio.ensure_future(self.gone.wait())]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()
                await asyncio.gather(*waits, return_exceptions=True)
        if self.gone.is_set():
            raise MachineError("QEMU ended before the machine reached its next stop")
        why = str(dict(await self.execute("query-status")).get("status"))
        if why not in (states or (AT_BREAKPOINT,)):
            raise MachineError(f"the machine did not reach its next stop: its state is '{why}'")
        return why

    async def close(self) -> None:
        self._watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watcher
        with contextlib.suppress(QMPError, OSError, EOFError, TimeoutError, RecursionError):
            async with asyncio.timeout(ANSWER):
                await self._client.disconnect()

    async def _watch(self) -> None:
        while self._client.runstate is Runstate.RUNNING:
            await self._client.runstate_changed()
        self.gone.set()


@contextlib.asynccontextmanager
async def connected(socket: Path, within: float = ANSWER) -> AsyncIterator[Qmp]:
    """A connection to the QEMU that listens on ``socket``. Waits for its turn first.

    Raises:
        BusyError: others had the socket for :data:`TURN` seconds; the error names one of them.
        MachineError: nobody listens there, or nobody answers in time.
    """
    try:
        turn = await turns.take(turns.of(socket), "QEMU's control socket", TURN)
    except OSError as error:
        raise _silent(socket) from error
    try:
        try:
            async with asyncio.timeout(within):
                client = await _connect(socket, within)
        except (ConnectError, TimeoutError, OSError) as error:
            raise _silent(socket) from error
        qmp = Qmp(client)
        try:
            yield qmp
        finally:
            await qmp.close()
    finally:
        turn.end()


async def _connect(socket: Path, within: float) -> QMPClient:
    client = QMPClient("xenlab")
    await client.connect(await _reach(socket, within))
    return client


async def _reach(socket: Path, within: float) -> Socket:
    """Connect. Between bind(2) and listen(2) QEMU's socket exists but refuses: try again then."""
    with contextlib.suppress(ConnectionRefusedError):
        return await sockets.connect(socket, within)
    from tenacity import retry, retry_if_exception_type, wait_fixed  # seldom needed, loads much

    again = retry(retry=retry_if_exception_type(ConnectionRefusedError), wait=wait_fixed(0.005))
    return await again(sockets.connect)(socket, within)


def _silent(socket: Path) -> MachineError:
    return MachineError(
        f"QEMU does not answer on {socket}",
        hint="lab.status says whether the lab still runs; lab.down cleans up",
    )
