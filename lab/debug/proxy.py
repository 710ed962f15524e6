"""The proxy between GDB and QEMU's gdbstub.

It owns the gdbstub while GDB is there. GDB's breakpoints go to QEMU, and each stop comes back
here first: one that does not count where its breakpoint was set (:mod:`lab.debug.scope`) is passed
by a step of that PCPU, and GDB never hears of it. Threads and memory are those of
:class:`lab.debug.machine_view.MachineView`.

QEMU executes an instruction with a breakpoint if that PCPU makes a single step, so breakpoints stay
while one is passed. All other PCPUs stand still meanwhile, and no interrupt is taken.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Protocol

from lab.debug.machine_view import MachineView
from lab.debug.packets import INTERRUPT, Client, escaped, unescaped
from lab.debug.scope import ALL, Scope
from lab.debug.stopped import Place, thread_of
from lab.errors import LabError, MachineError

#: What GDB may rely on. It gets no numbers of processes, so a thread is a plain number.
FEATURES = (
    b"PacketSize=4000;qXfer:features:read+;vContSupported+;QStartNoAckMode+;hwbreak+;swbreak-"
)
#: The answer to a request that makes no sense now.
REFUSED = b"E01"
NOWHERE = b"E14"
#: Signals in stop reports (gdb's documentation, "Stop Reply Packets").
INTERRUPTED, TRAPPED = b"02", b"05"
_STOP = re.compile(rb"T([0-9a-f]{2})(.*)", re.S)


class Monitor(Protocol):
    """Answers the packets that only our own GDB commands send, and ``monitor``."""

    async def answer(self, packet: bytes) -> bytes | None:
        """The answer to a packet of ours; ``None`` if it is none."""

    async def command(self, words: str) -> str | None:
        """What ``monitor`` shows; ``None`` if it is no command of ours."""


class Travel(Protocol):
    """Goes back in a run (:mod:`lab.api.debugging`)."""

    async def back(self, packet: bytes, interrupt: asyncio.Event) -> bytes: ...


class Proxy:
    """Serves one GDB.

    Attributes:
        scopes: where the breakpoint at an address counts, if it is not the scope of now.
        passed: how many stops were passed because they did not count.
    """

    def __init__(self, view: MachineView, monitor: Monitor) -> None:
        self.view = view
        self.scopes: dict[int, list[Scope]] = {}
        self.passed = 0
        self.travel: Travel | None = None
        self._monitor = monitor
        self._stub = view.stopped.stub
        self._stop = b"T" + TRAPPED
        self._set: dict[tuple[bytes, int], bytes] = {}
        self._inserted: dict[int, Scope] = {}

    async def serve(self, client: Client) -> None:
        """Serve a GDB until it leaves. The machine runs on then, without breakpoints."""
        try:
            self._stop = self._report(TRAPPED, await self.view.thread_on(self.view.selected))
            while (packet := await client.packet()) is not None:
                if packet == INTERRUPT:
                    continue
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
            await self._clear()

    async def _clear(self) -> None:
        """Remove GDB's breakpoints from the machine."""
        for kind, address in list(self._set):
            try:
                await self._stub.ask(b"z%s,%x%s" % (kind, address, self._set[kind, address]))
            except LabError:
                return
        self._set.clear()

    async def _handle(self, client: Client, packet: bytes) -> None:
        if packet == b"QStartNoAckMode":
            client.without_acknowledgements()
            return
        if packet.startswith(b"qRcmd,"):
            await self._command(client, bytes.fromhex(packet[6:].decode()).decode())
            return
        if packet.startswith(b"vCont;") or packet[:1] in (b"c", b"s", b"b"):
            self._stop = await self._resume(client, packet)
            client.say(self._stop)
            return
        client.say(await self._answer(packet))

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
        return await self._stub.ask(packet)

    def _table(self) -> dict[bytes, Callable[[bytes], Awaitable[bytes]]]:
        return {
            b"?": self._why, b"qSupported": self._supported, b"vCont?": self._resumptions,
            b"qfThreadInfo": self._threads, b"qsThreadInfo": self._no_more,
            b"qThreadExtraInfo,": self._describe, b"qC": self._current, b"T": self._is_alive,
            b"H": self._select, b"g": self._registers, b"p": self._register, b"G": self._change,
            b"P": self._change_one, b"m": self._read, b"M": self._write, b"X": self._write_raw,
            b"Z": self._insert, b"z": self._remove, b"qAttached": self._attached,
            b"qXfer:features:read:": self._features,
        }  # fmt: skip

    async def _why(self, _: bytes) -> bytes:
        return self._stop

    async def _supported(self, _: bytes) -> bytes:
        return FEATURES + (b";ReverseContinue+;ReverseStep+" if self.travel else b"")

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
        text = self.view.stopped.description.get(name.decode())
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
        return await self._stub.ask(b"g") if await self._pcpu() else REFUSED

    async def _register(self, words: bytes) -> bytes:
        if await self._pcpu():
            return await self._stub.ask(b"p" + words)
        return b"xx" * self.view.stopped.size_of(int(words, 16)) or REFUSED

    async def _change(self, words: bytes) -> bytes:
        return await self._stub.ask(b"G" + words) if await self._pcpu() else REFUSED

    async def _change_one(self, words: bytes) -> bytes:
        return await self._stub.ask(b"P" + words) if await self._pcpu() else REFUSED

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
        place, _, data = words.partition(b":")
        content = decoded(data)
        try:
            if content:
                await self.view.write(int(place.split(b",")[0], 16), content)
        except MachineError:
            return NOWHERE
        return b"OK"

    # ------------------------------------------------------------ breakpoints

    async def _insert(self, words: bytes) -> bytes:
        kind, address, rest = _breakpoint(words)
        answer = await self._stub.ask(b"Z" + words)
        if answer == b"OK":
            self._set[kind, address] = rest
            self._inserted[address] = self.view.scope
        return answer

    async def _remove(self, words: bytes) -> bytes:
        kind, address, _ = _breakpoint(words)
        self._set.pop((kind, address), None)
        return await self._stub.ask(b"z" + words)

    def _counts(self, place: Place, address: int) -> bool:
        scopes = self.scopes.get(address) or [self._inserted.get(address, ALL)]
        return any(one.has(place) for one in scopes)

    # ------------------------------------------------------------ running

    async def _resume(self, client: Client, packet: bytes) -> bytes:
        """Let the machine run until it stops for a reason that counts; returns the report."""
        wish = asyncio.Event()
        listening = asyncio.create_task(_listen(client, wish))
        try:
            if packet[:2] in (b"bc", b"bs"):
                return await self._back(packet, wish)
            step = await self._stepping(packet)
            return await self._until_it_counts(step, wish)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _back(self, packet: bytes, wish: asyncio.Event) -> bytes:
        if self.travel is None:
            return REFUSED
        report = await self.travel.back(packet, wish)
        self.view.moved()
        return report

    async def _stepping(self, packet: bytes) -> int:
        """The PCPU that is to make one step; 0 if all are to run.

        A vCPU that does not run has to wait for its turn first, and a task too: all run then.
        """
        for action in packet.split(b";")[1:]:
            what, _, thread = action.partition(b":")
            if what[:1] in (b"s", b"S"):
                return await self.view.pcpu(int(thread, 16) if thread else self.view.selected)
        return await self.view.pcpu(self.view.selected) if packet[:1] == b"s" else 0

    async def _until_it_counts(self, step: int, wish: asyncio.Event) -> bytes:
        request = b"vCont;s:%x" % step if step else b"vCont;c"
        while True:
            report = await self._stub.resume(request, wish)
            self.view.moved()
            self.view.stopped.selected = 0
            found = _STOP.match(report)
            if not found:  # the machine has ended
                return report
            signal, details = found[1], found[2]
            pcpu = _thread_in(details)
            counts = signal != TRAPPED or (bool(step) and pcpu == step)
            if counts or await self._hit_counts(pcpu, details):
                return self._report(signal, await self.view.thread_on(pcpu), details)
            self.passed += 1
            await self._stub.resume(b"vCont;s:%x" % pcpu, asyncio.Event())
            if wish.is_set():
                self.view.moved()
                return self._report(INTERRUPTED, await self.view.thread_on(pcpu))

    async def _hit_counts(self, pcpu: int, details: bytes) -> bool:
        place = await self.view.stopped.place(pcpu)
        watched = re.search(rb"watch:([0-9a-f]+)", details)
        address = int(watched[1], 16) if watched else place.pc
        if not watched and ((b"0", address) not in self._set and (b"1", address) not in self._set):
            return True
        return self._counts(place, address)

    def _report(self, signal: bytes, thread: int, details: bytes = b"") -> bytes:
        self.view.selected = thread
        others = [one for one in details.split(b";") if one and not one.startswith(b"thread:")]
        return b"T%s%sthread:%x;" % (signal, b"".join(one + b";" for one in others), thread)


async def _listen(client: Client, wish: asyncio.Event) -> None:
    """While the machine runs GDB sends nothing but the wish to stop it."""
    while (packet := await client.packet()) is not None:
        if packet == INTERRUPT:
            wish.set()
    wish.set()  # GDB is gone


def _thread_in(details: bytes) -> int:
    found = re.search(rb"thread:([^;]+)", details)
    return thread_of(found[1]) if found else 1


def _breakpoint(words: bytes) -> tuple[bytes, int, bytes]:
    kind, address, *rest = words.split(b",")
    return kind, int(address, 16), b"".join(b"," + one for one in rest)

