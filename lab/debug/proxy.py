"""The proxy between GDB and QEMU's gdbstub.

It owns the gdbstub while GDB is there. Threads and memory are those of
:class:`lab.debug.machine_view.MachineView`; breakpoints and running are
:class:`lab.debug.runner.Runner`'s. Whatever remains goes to QEMU as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from lab.debug.history import BACK
from lab.debug.machine_view import MachineView
from lab.debug.packets import INTERRUPT, Client, escaped, unescaped
from lab.debug.runner import TRAPPED, Runner
from lab.errors import MachineError, UsageError
from lab.machine.gdbstub import Stub

#: What GDB may rely on. It gets no numbers of processes, so a thread is a plain number.
FEATURES = (
    b"PacketSize=4000;qXfer:features:read+;vContSupported+;QStartNoAckMode+;hwbreak+;swbreak-"
)
#: More of it in a run that is executed again.
BACKWARDS = b";ReverseStep+;ReverseContinue+"
#: The answer to a request that makes no sense now; GDB shows the words.
REFUSED = b"E01"
NOT_RUNNING = b"E.it does not run now, so its registers can only be read"
PAST = b"E.what was cannot be changed: lab goto TIME begins a branch at another moment"
NARROW = b"E.the registers of a 32-bit guest can only be read on this machine"
#: The answer if there is no memory at an address.
NOWHERE = b"E14"


class Monitor(Protocol):
    """Answers the packets that only our own GDB commands send, and ``monitor``."""

    async def answer(self, packet: bytes) -> bytes | None:
        """The answer to a packet of ours; ``None`` if it is none."""

    async def command(self, words: str) -> str | None:
        """What ``monitor`` shows; ``None`` if it is no command of ours."""


class Proxy:
    """Serves one GDB."""

    def __init__(self, view: MachineView, monitor: Monitor) -> None:
        self.view = view
        self.runner = Runner(view)
        self._monitor = monitor
        self._stop = b""
        self._spoke = self._early = False

    def _stub(self) -> Stub:
        return self.view.stopped.stub

    async def serve(self, client: Client) -> None:
        """Serve a GDB until it leaves. The machine runs on then, without breakpoints."""
        try:
            self._stop = self.runner.report(TRAPPED, await self.view.thread_on(self.view.selected))
            while (packet := await client.packet()) is not None:
                if packet == INTERRUPT:
                    self._early = self._spoke
                    continue
                self._spoke = True
                if packet[:1] in (b"D", b"k") or packet.startswith(b"vKill"):
                    if packet[:1] != b"k":
                        client.say(b"OK")
                    break
                await self._handle(client, packet)
        except MachineError as error:
            client.print(f"{error.message}\n")
            client.say(b"W00")
            raise
        finally:
            await self.runner.clear()

    async def _handle(self, client: Client, packet: bytes) -> None:
        if packet == b"QStartNoAckMode":
            client.without_acknowledgements()
            return
        if packet.startswith(b"qRcmd,"):
            await self._command(client, bytes.fromhex(packet[6:].decode()).decode())
            return
        if packet.startswith(b"vCont;") or packet[:1] in (b"c", b"s") or packet in BACK:
            self._stop = await self._resume(client, packet)
            client.say(self._stop)
            return
        client.say(await self._answer(packet))

    async def _resume(self, client: Client, packet: bytes) -> bytes:
        """Let the machine run; meanwhile GDB may want it to stop.

        GDB may say so in the moment before this packet, when its user believes that the machine
        runs. If it is the first that GDB says after a stop, that stop has crossed it: it is over.
        """
        wish = asyncio.Event()
        if self._early:
            wish.set()
        listening = asyncio.create_task(_listen(client, wish))
        try:
            return await self.runner.run(packet, wish)
        except UsageError as error:
            client.print(f"{error.message}\n" + (f"({error.hint})\n" if error.hint else ""))
            threads = await self.view.threads()
            stays = self.view.selected if self.view.selected in threads else threads[0]
            return self.runner.report(TRAPPED, stays)
        finally:
            self._spoke = self._early = False
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _command(self, client: Client, words: str) -> None:
        said = await self._monitor.command(words)
        if said is None:
            said = f"there is no command {words!r}; try: monitor help\n"
        client.say(said.encode().hex().encode() or b"OK")

    # ------------------------------------------------------------ questions

    async def _answer(self, packet: bytes) -> bytes:
        if (ours := await self._monitor.answer(packet)) is not None:
            return ours
        for start, answer in self._table().items():
            if packet.startswith(start):
                return await answer(packet[len(start) :])
        if packet[:1] in (b"Q", b"v") or packet[:2] in (b"qT", b"qL", b"qO", b"qS", b"qA"):
            return b""  # extensions that neither side needs
        return await self._stub().ask(packet)

    def _table(self) -> dict[bytes, Callable[[bytes], Awaitable[bytes]]]:
        return {
            b"?": self._why, b"qSupported": self._supported, b"vCont?": self._resumptions,
            b"qfThreadInfo": self._threads, b"qsThreadInfo": self._no_more,
            b"qThreadExtraInfo,": self._describe, b"qC": self._current, b"T": self._is_alive,
            b"H": self._select, b"g": self._registers, b"p": self._register, b"G": self._change,
            b"P": self._change_one, b"m": self._read, b"M": self._write, b"X": self._write_raw,
            b"Z": self.runner.insert, b"z": self.runner.remove, b"qAttached": self._attached,
            b"qXfer:features:read:": self._features,
        }  # fmt: skip

    async def _why(self, _: bytes) -> bytes:
        return self._stop

    async def _supported(self, _: bytes) -> bytes:
        return FEATURES + (BACKWARDS if self.runner.travel else b"")

    async def _resumptions(self, _: bytes) -> bytes:
        return b"vCont;c;C;s;S"

    async def _threads(self, _: bytes) -> bytes:
        return b"m" + b",".join(b"%x" % one for one in await self.view.threads())

    async def _no_more(self, _: bytes) -> bytes:
        return b"l"

    async def _attached(self, _: bytes) -> bytes:
        return b"1"

    async def _describe(self, words: bytes) -> bytes:
        return (await self.view.describe(int(words, 16))).encode().hex().encode()

    async def _current(self, _: bytes) -> bytes:
        return b"QC%x" % self.view.selected

    async def _is_alive(self, words: bytes) -> bytes:
        return b"OK" if int(words, 16) in await self.view.threads() else REFUSED

    async def _select(self, words: bytes) -> bytes:
        if words[:1] == b"g" and words[1:] not in (b"0", b"-1"):
            self.view.selected = int(words[1:], 16)
        return b"OK"

    async def _features(self, words: bytes) -> bytes:
        name, _, span = words.partition(b":")
        first, size = (int(one, 16) for one in span.split(b","))
        text = self.view.description(name.decode())
        if text is None:
            return b"E00"
        part = text[first : first + size]
        return (b"m" if first + size < len(text) else b"l") + escaped(part)

    # ------------------------------------------------------------ registers and memory

    async def _pcpu(self) -> bool:
        """Select the PCPU that executes GDB's thread in QEMU; ``False`` if none does."""
        on = await self.view.pcpu(self.view.selected)
        if on:
            await self.view.stopped.select(on)
        return bool(on)

    async def _registers(self, _: bytes) -> bytes:
        saved = await self.view.saved_packet(self.view.selected)
        if saved is not None:
            return saved
        if await self._pcpu():
            return await self._stub().ask(b"g")
        return self.view.no_registers()  # the thread is gone

    async def _register(self, words: bytes) -> bytes:
        if await self.view.saved(self.view.selected) is None and await self._pcpu():
            return await self._stub().ask(b"p" + words)
        return b"xx" * self.view.stopped.size_of(int(words, 16)) or REFUSED

    async def _change(self, words: bytes) -> bytes:
        return await self._ask_running(b"G" + words)

    async def _change_one(self, words: bytes) -> bytes:
        return await self._ask_running(b"P" + words)

    async def _ask_running(self, packet: bytes) -> bytes:
        """Have QEMU change registers of the thread that GDB looks at."""
        if self.runner.past:
            return PAST
        running = await self._pcpu()
        if running and await self.view.saved(self.view.selected) is None:
            return await self._stub().ask(packet)
        return NARROW if running else NOT_RUNNING

    async def _read(self, words: bytes) -> bytes:
        address, size = (int(one, 16) for one in words.split(b","))
        try:
            return (await self.view.read(address, size)).hex().encode()
        except MachineError:
            return NOWHERE

    async def _write(self, words: bytes) -> bytes:
        return await self._store(words, lambda data: bytes.fromhex(data.decode()))

    async def _write_raw(self, words: bytes) -> bytes:
        return await self._store(words, unescaped)

    async def _store(self, words: bytes, decoded: Callable[[bytes], bytes]) -> bytes:
        if self.runner.past:
            return PAST
        place, _, data = words.partition(b":")
        content = decoded(data)
        try:
            if content:
                await self.view.write(int(place.split(b",")[0], 16), content)
        except MachineError:
            return NOWHERE
        return b"OK"


async def _listen(client: Client, wish: asyncio.Event) -> None:
    """While the machine runs GDB sends nothing but the wish to stop it."""
    while (packet := await client.packet()) is not None:
        if packet == INTERRUPT:
            wish.set()
    wish.set()  # GDB is gone
