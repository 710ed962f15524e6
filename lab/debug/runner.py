"""Lets a machine run for GDB, and decides which stops GDB hears of.

A stop that does not count where its breakpoint was set (:mod:`lab.debug.scope`) is passed by a step
of that PCPU. QEMU executes an instruction with a breakpoint if that PCPU makes a single step, so
breakpoints stay while one is passed, and watchpoints do not. All other PCPUs stand still meanwhile,
and no interrupt is taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterable
from typing import Protocol

from lab.debug import pending
from lab.debug.history import BACK, History
from lab.debug.machine_view import TASK, MachineView
from lab.debug.scope import ALL, Scope
from lab.debug.stopped import Place, Stopped, thread_of
from lab.errors import LabError

#: Signals in stop reports (gdb's documentation, "Stop Reply Packets").
INTERRUPTED, TRAPPED = b"02", b"05"
_STOP = re.compile(rb"T([0-9a-f]{2})(.*)", re.S)


class Travel(Protocol):
    """A run that is executed again, and stands."""

    async def go_on(self, wish: asyncio.Event) -> int:
        """Let the run go on to GDB's next breakpoint; returns the PCPU that stands there."""

    async def into_the_past(self, wish: asyncio.Event) -> History:
        """Replay what was executed so far, and stand at the same place. ``wish``: stop on the way.

        Raises:
            UsageError: this machine cannot be replayed.
        """

    async def moved(self) -> None:
        """The machine stands at another place now, or it is another machine."""


class Runner:
    """A machine's breakpoints, and how it runs.

    Attributes:
        scopes: where the breakpoint at an address counts, if it is not the scope of now.
        passed: how many stops were passed because they did not count.
        travel: lets a run go on that is executed again; ``None`` for a lab that runs.
        past: goes through what was executed so far; ``None`` before GDB first goes back.
    """

    def __init__(self, view: MachineView) -> None:
        self.view = view
        self.scopes: dict[int, list[Scope]] = {}
        self.passed = 0
        self.travel: Travel | None = None
        self.past: History | None = None
        self._set: dict[tuple[bytes, int], bytes] = {}
        self._inserted: dict[int, Scope] = {}

    async def insert(self, words: bytes) -> bytes:
        """GDB's packet ``Z``."""
        kind, address, rest = _breakpoint(words)
        answer = b"OK" if self.past else await self.view.stopped.stub.ask(b"Z" + words)
        if answer == b"OK":
            self._set[kind, address] = rest
            self._inserted[address] = self.view.scope
        return answer

    async def remove(self, words: bytes) -> bytes:
        """GDB's packet ``z``."""
        kind, address, _ = _breakpoint(words)
        self._set.pop((kind, address), None)
        if self.past:
            return b"OK"
        answer = await self.view.stopped.stub.ask(b"z" + words)
        return b"OK" if self.travel else answer  # another execution may not have it

    def points(self) -> list[int]:
        """The addresses of GDB's breakpoints."""
        return sorted({address for kind, address in self._set if kind in (b"0", b"1")})

    async def clear(self) -> None:
        """Remove all breakpoints from the machine."""
        with contextlib.suppress(LabError):
            if not self.past:
                await self.arm(False)
        self._set.clear()

    async def arm(self, wanted: bool) -> None:
        """Set all breakpoints in the machine, or remove them from it."""
        await self._arm(wanted, self._set)

    async def _arm(self, wanted: bool, which: Iterable[tuple[bytes, int]]) -> None:
        what = b"Z" if wanted else b"z"
        for kind, address in which:
            rest = self._set[kind, address]
            await self.view.stopped.stub.ask(b"%s%s,%x%s" % (what, kind, address, rest))

    async def run(self, packet: bytes, wish: asyncio.Event) -> bytes:
        """Let the machine run until it stops for a reason that counts; returns the report.

        ``wish`` is set if GDB wants it to stop.
        """
        thread = self._stepped(packet)
        if self.travel and (self.past or packet in BACK):
            return await self._through_the_past(self.travel, packet, wish)
        step = await self.view.pcpu(thread) if thread else 0
        if self.travel and not step:
            return await self._travel(self.travel, wish)
        if thread and not step:
            if report := await self._until_it_runs(thread, wish):
                return report
            step = await self.view.pcpu(thread)
        return await self._until_it_counts(step, wish)

    async def _until_it_counts(self, step: int, wish: asyncio.Event) -> bytes:
        """Run, or have the PCPU ``step`` make a step, until a stop counts; returns the report."""
        request = b"vCont;s:%x" % step if step else b"vCont;c"
        late = False
        while True:
            stood = {} if step or late else await self._stood()
            report = await self.view.stopped.stub.resume(request, wish)
            self.view.moved()
            found = _STOP.match(report)
            if not found:  # the machine has ended
                return report
            signal, details = found[1], found[2]
            pcpu = _thread_in(details)
            late = signal == TRAPPED and await self._is_late(pcpu, details, stood.get(pcpu, 0))
            if late:
                continue
            if not step:
                await self._forget_others(pcpu)
            if step == pcpu and wish.is_set():  # QEMU ignores a wish to stop when a step is over
                signal = INTERRUPTED
            counts = signal != TRAPPED or (bool(step) and pcpu == step)
            if counts or await self._hit_counts(pcpu, details):
                return self.report(signal, await self.view.thread_on(pcpu), details)
            await self._pass(pcpu, wish)
            if wish.is_set():
                return self.report(INTERRUPTED, await self.view.thread_on(pcpu))

    async def _stood(self) -> dict[int, int]:
        """Where each PCPU stands, if QEMU may report a stop late; see :meth:`_is_late`."""
        if not self._watchpoints() or len(self.view.stopped.threads) == 1:
            return {}
        return {place.thread: place.pc for place in await self.view.stopped.places()}

    async def _is_late(self, pcpu: int, details: bytes, stood: int) -> bool:
        """Whether QEMU stops a PCPU again that has not gone on: it is still where it ``stood``, and
        no breakpoint is there. QEMU seems to do so with watchpoints and several PCPUs."""
        if not stood or b"watch:" in details:
            return False
        pc = (await self.view.stopped.place(pcpu)).pc
        return pc == stood and pc not in self.points()

    async def _until_it_runs(self, thread: int, wish: asyncio.Event) -> bytes:
        """Let a vCPU that waits come to where it goes on; empty, or the report of another stop."""
        saved = await self.view.saved(thread)
        if saved is None or thread >= TASK:
            return b""
        key = b"1", saved["pc"]
        await self.view.stopped.stub.ask(b"Z1,%x,4" % saved["pc"])
        new = key not in self._set
        if new:
            self._set[key] = b",4"
            self._inserted[saved["pc"]] = self.view.scope
        try:
            report = await self._until_it_counts(0, wish)
        finally:
            await self.view.stopped.stub.ask(b"z1,%x,4" % saved["pc"])
            if new:
                del self._set[key]
        pcpu = await self.view.pcpu(thread)
        return b"" if pcpu and (await self.view.stopped.place(pcpu)).pc == saved["pc"] else report

    async def _pass(self, pcpu: int, wish: asyncio.Event) -> None:
        """Go on behind a breakpoint or an access that does not count here."""
        self.passed += 1
        await self._arm(False, self._watchpoints())  # QEMU stands before an access, also in a step
        await self.view.stopped.stub.resume(b"vCont;s:%x" % pcpu, wish)
        await self._arm(True, self._watchpoints())
        self.view.moved()

    async def _forget_others(self, pcpu: int) -> None:
        """See :mod:`lab.debug.pending`."""
        watched = [address for _, address in self._watchpoints()]
        if watched and len(self.view.stopped.threads) > 1:
            await pending.forget(self.view.stopped, pcpu, watched)
            self.view.moved()

    def _watchpoints(self) -> list[tuple[bytes, int]]:
        return [one for one in self._set if one[0] not in (b"0", b"1")]

    async def _travel(self, travel: Travel, wish: asyncio.Event) -> bytes:
        pcpu = await travel.go_on(wish)
        self.view.moved()
        signal = INTERRUPTED if wish.is_set() else TRAPPED
        return self.report(signal, await self.view.thread_on(pcpu))

    async def _through_the_past(self, travel: Travel, packet: bytes, wish: asyncio.Event) -> bytes:
        if self.past is None:
            self.past = await travel.into_the_past(wish)
        if wish.is_set():
            return self.report(INTERRUPTED, await self.view.thread_on(self.view.stopped.threads[0]))
        stop = await self.past.move(packet, self._stepped(packet), wish)
        await travel.moved()
        edge = b"replaylog:%s;" % (b"begin" if packet in BACK else b"end")
        details = stop.report[3:] if stop else edge
        thread = await self.view.thread_on(self.view.stopped.threads[0])
        return self.report(INTERRUPTED if stop and stop.wished else TRAPPED, thread, details)

    async def counts(self, report: bytes) -> bool:
        """Whether a hit counts, by the report of QEMU's gdbstub. The machine stands there."""
        self.view.moved()
        found = _STOP.match(report)
        if not found:
            return True
        counted = await self._hit_counts(_thread_in(found[2]), found[2])
        self.passed += not counted
        return counted

    async def judge(self, stopped: Stopped, pcpu: int) -> bool:
        """Whether the stop of this PCPU counts for GDB."""
        place = await stopped.place(pcpu)
        if place.pc in self.points():
            counts = self._counts(place, place.pc)
            self.passed += not counts
            return counts
        return any(kind not in (b"0", b"1") for kind, _ in self._set)

    def _stepped(self, packet: bytes) -> int:
        """The thread that is to make one step; 0 if all are to run.

        A task that does not run has to wait for its turn first: all run then.
        """
        for action in packet.split(b";")[1:]:
            what, _, thread = action.partition(b":")
            if what[:1] in (b"s", b"S"):
                return int(thread, 16) if thread else self.view.selected
        return self.view.selected if packet[:1] == b"s" else 0

    async def _hit_counts(self, pcpu: int, details: bytes) -> bool:
        place = await self.view.stopped.place(pcpu)
        watched = re.search(rb"watch:([0-9a-f]+)", details)
        address = int(watched[1], 16) if watched else place.pc
        if not watched and address not in self.points():
            return True
        return self._counts(place, address)

    def _counts(self, place: Place, address: int) -> bool:
        scopes = self.scopes.get(address) or [self._inserted.get(address, ALL)]
        return any(one.has(place) for one in scopes)

    def report(self, signal: bytes, thread: int, details: bytes = b"") -> bytes:
        """A stop report for GDB. From now on registers and memory are those of this thread."""
        self.view.selected = thread
        others = [one for one in details.split(b";") if one and not one.startswith(b"thread:")]
        return b"T%s%sthread:%x;" % (signal, b"".join(one + b";" for one in others), thread)


def _thread_in(details: bytes) -> int:
    found = re.search(rb"thread:([^;]+)", details)
    return thread_of(found[1]) if found else 1


def _breakpoint(words: bytes) -> tuple[bytes, int, bytes]:
    kind, address, *rest = words.split(b",")
    return kind, int(address, 16), b"".join(b"," + one for one in rest)
