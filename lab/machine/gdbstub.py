"""Stops a machine at an instruction, through QEMU's gdbstub.

The stub speaks gdb's remote protocol (gdb's documentation, appendix "Remote Protocol"; gdbstub/
of QEMU), of which this uses a little. A breakpoint stops all CPUs before one executes the
instruction at its address, in any address space. So the address must be one at which nobody else
has code. While a breakpoint is set, QEMU does not get past it: remove it before the machine goes
on.

QMP continues the machine, not the stub. If the stub does, it reports the next stop, and before
the report QEMU (up to 10.1, gdbstub/system.c) throws away all code that it has translated. The
machine would have to translate everything again after each stop. Packets are not acknowledged,
which QEMU does not need: a byte that comes while the machine runs would stop it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import MachineError
from lab.util import sockets, turns

if TYPE_CHECKING:
    from lab.machine.qmp import Qmp
    from lab.machine.recording import Changes

#: Seconds within which the stub answers.
ANSWER = 10.0
#: The largest packet that is read, in bytes; QEMU's own limit is smaller.
LARGEST = 1 << 20
#: Bytes of a packet besides the memory that it carries.
OVERHEAD = 64
#: The packet that says how QEMU takes addresses of memory from now on: as physical ones (1) or
#: as virtual ones (0).
MODE = b"Qqemu.PhyMemMode:"
#: The byte that stops a machine which runs (gdb's documentation, "Interrupts").
INTERRUPT = b"\x03"


#: Waits for an answer. If the machine fails meanwhile, it raises an error that says why.
AnswerGuard = Callable[[Awaitable[bytes]], Awaitable[bytes]]


class Stub:
    """A connection to a machine that stands still, until :meth:`go` lets it run.

    Attributes:
        changes: notes what is written into the machine, if it is recorded.
        physically: whether QEMU takes addresses of memory for physical ones now.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        guard: AnswerGuard,
        control: Qmp | None,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._control = control
        self._guard = guard
        self._packet = 1024
        self.changes: Changes | None = None
        self.physically = False

    async def greet(self) -> None:
        """Ask how large packets may be."""
        answer = await self.ask(b"qSupported:hwbreak+")
        if found := re.search(rb"PacketSize=([0-9a-f]+)", answer):
            self._packet = min(int(found[1], 16), LARGEST // 2)

    async def set_breakpoint(self, address: int) -> None:
        """Stop all CPUs when one is about to execute the instruction (4 bytes) at ``address``."""
        await self._order(b"Z1,%x,4" % address)

    async def clear_breakpoint(self, address: int) -> None:
        await self._order(b"z1,%x,4" % address)

    async def go(self) -> None:
        """Let the machine run until a breakpoint stops it. There is no time limit.

        Raises:
            MachineError: QEMU ended, or the machine stopped for another reason.
        """
        assert self._control is not None, "only a debugger connects without QMP"
        await self._settle()
        await self._control.run_to_stop()

    async def turn_to(self, number: int, value: int) -> None:
        """Turn to the CPU whose register ``number`` has this value: after a restore QEMU does not
        know any more which one stopped.

        Raises:
            MachineError: there is none.
        """
        answer = await self.ask(b"qfThreadInfo")
        while answer.startswith(b"m"):
            for thread in answer[1:].split(b","):
                await self._order(b"Hg" + thread)
                if await self.register(number) == value:
                    return
            answer = await self.ask(b"qsThreadInfo")
        raise MachineError("no CPU of the machine stands where it was stored")

    async def register(self, number: int) -> int:
        """A general register of the CPU that stopped, by gdb's number."""
        return int.from_bytes(_bytes(await self.ask(b"p%x" % number)), "little")

    async def read(self, address: int, size: int) -> bytes:
        """Memory as the CPU that stopped sees it.

        Raises:
            MachineError: nothing is mapped there.
        """
        found = bytearray()
        piece = (self._packet - OVERHEAD) // 2
        while len(found) < size:
            want = min(piece, size - len(found))
            got = _bytes(await self.ask(b"m%x,%x" % (address + len(found), want)))
            if not got:
                raise MachineError(f"the machine's memory at {address:#x} cannot be read")
            found += got
        return bytes(found)

    async def write(self, address: int, data: bytes) -> None:
        """Write memory as the CPU that stopped sees it.

        Raises:
            MachineError: nothing is mapped there.
        """
        piece = (self._packet - OVERHEAD) // 2
        for at in range(0, len(data), piece):
            part = data[at : at + piece]
            await self._order(b"M%x,%x:%s" % (address + at, len(part), part.hex().encode()))

    async def leave(self) -> None:
        """Remove all breakpoints and let the machine run. Nothing can follow on this connection."""
        # QEMU wants the process's number if any client ever spoke of processes (multiprocess+).
        if await self.ask(b"D") != b"OK":
            await self._order(b"D;1")

    async def step(self, thread: int) -> None:
        """Let one CPU, by gdb's number, execute one instruction."""
        await self.resume(b"vCont;s:%x" % thread, asyncio.Event())
        if self._control is not None:  # its news of this stop is not that of the next
            await self._control.execute("query-status")

    async def resume(self, packet: bytes, interrupt: asyncio.Event) -> bytes:
        """Let the machine run or step as ``packet`` says. Returns the report of its next stop.

        As soon as ``interrupt`` is set, the machine is stopped. There is no time limit.

        Raises:
            MachineError: QEMU ended.
        """
        await self._settle()
        self._send(packet)
        answer = asyncio.ensure_future(self._guard(self._packet_from_qemu()))
        wanted = asyncio.ensure_future(interrupt.wait())
        try:
            await asyncio.wait([answer, wanted], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                with _explained():
                    self._writer.write(INTERRUPT)
            return await answer
        finally:
            wanted.cancel()
            answer.cancel()
            await asyncio.gather(wanted, answer, return_exceptions=True)

    async def _settle(self) -> None:
        if self.changes and self._control:
            await self.changes.settle(self._control)

    async def _order(self, packet: bytes) -> None:
        answer = await self.ask(packet)
        if answer != b"OK":
            raise MachineError(f"QEMU's gdbstub refused {packet[:24]!r}: {answer[:40]!r}")

    async def ask(self, packet: bytes) -> bytes:
        """Send a packet to the machine, which stands still; returns the answer."""
        if packet.startswith(MODE):
            self.physically = packet.endswith(b"1")
        if self.changes:
            self.changes.packet(packet, physically=self.physically)
        self._send(packet)
        try:
            async with asyncio.timeout(ANSWER):
                return await self._guard(self._packet_from_qemu())
        except TimeoutError as error:
            raise MachineError(f"QEMU's gdbstub did not answer within {ANSWER:g} s") from error

    async def monitor(self, command: str) -> str:
        """What QEMU's monitor says to a command (gdb's documentation, packet ``qRcmd``).

        Raises:
            MachineError: QEMU does not answer, or refuses the packet.
        """
        said, answer = b"", await self.ask(b"qRcmd," + command.encode().hex().encode())
        while answer[:1] == b"O" and answer != b"OK":
            said += _bytes(answer[1:])
            try:
                async with asyncio.timeout(ANSWER):
                    answer = await self._guard(self._packet_from_qemu())
            except TimeoutError as error:
                raise MachineError(f"QEMU's monitor did not answer within {ANSWER:g} s") from error
        if answer != b"OK":
            raise MachineError(f"QEMU's monitor refused {command!r}: {answer[:40]!r}")
        return said.decode("utf-8", "replace").replace("\r", "")

    def _send(self, packet: bytes) -> None:
        with _explained():
            self._writer.write(b"$%s#%02x" % (packet, sum(packet) & 0xFF))

    async def _packet_from_qemu(self) -> bytes:
        with _explained():
            await self._reader.readuntil(b"$")
            packet = await self._reader.readuntil(b"#")
            await self._reader.readexactly(2)
            return packet[:-1]

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def connected(socket: Path, control: Qmp | None, guard: AnswerGuard) -> AsyncIterator[Stub]:
    """A connection to the gdbstub that listens on ``socket``. It makes the machine stand still.

    ``guard`` waits for each answer. ``control`` is a connection to the same QEMU; only
    :meth:`Stub.go` needs it.

    Raises:
        BusyError: others had the gdbstub for too long; the error names one of them.
        MachineError: nobody listens there.
    """
    with _explained():
        turn = await turns.take(turns.of(socket), "QEMU's gdbstub", ANSWER)
    try:
        with _explained():
            found = await sockets.connect(socket, ANSWER)
            reader, writer = await asyncio.open_unix_connection(sock=found, limit=LARGEST)
        stub = Stub(reader, writer, guard, control)
        try:
            await stub.greet()
            yield stub
        finally:
            await stub.close()
    finally:
        turn.end()


def _bytes(answer: bytes) -> bytes:
    """Bytes that were sent in hexadecimal; none for an error (``E14``), whose length is odd."""
    try:
        return bytes.fromhex(answer.decode())
    except ValueError:
        return b""


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise MachineError(
            "the connection to QEMU's gdbstub ended", hint="the run's qemu.log may say why"
        ) from error
