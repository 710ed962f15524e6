"""Keeps a core file of a guest, or of Xen, at the moment when it crashes.

This is for runs under the virtual clock, where the lab has QEMU's gdbstub anyway. It sets
breakpoints where a guest of our FreeRTOS port ends after a fault (images/freertos/port/stop.c),
and where Xen panics. QEMU executes code beside a breakpoint in smaller pieces, so the times of a
busy run may differ from those of a run without them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.debug import core_file, domains, guest_memory
from lab.debug.core_file import Piece, Thread
from lab.debug.domains import Dump
from lab.debug.passing import pass_on
from lab.debug.stopped import Place, Stopped
from lab.errors import LabError
from lab.machine.gdbstub import Stub
from lab.rundir import RunDir
from lab.util import elf_layout, reading, symbols

#: The function of our port that ends the domain after a fault. It is never called otherwise.
END = "guest_crash"
#: Xen's function that ends everything.
PANIC = "panic"
XEN = "xen"
#: The largest xen-syms of which segments are read, in bytes.
LARGEST = 256 << 20


@dataclass
class CrashWatch:
    """Breakpoints at which something crashes.

    Attributes:
        names: the guests' names by the numbers of their domains, as the lab creates them.
        cores: the core files that were written, by what crashed.
    """

    run: RunDir
    names: Mapping[int, str]
    dump: Dump
    cores: dict[str, Path] = field(default_factory=dict)
    _places: dict[int, str] = field(default_factory=dict)
    _armed: Stub | None = None

    def learn(self) -> None:
        """Find the addresses in the run folder's ELF files."""
        for elf in sorted(self.run.guest_dir.glob("*.elf")):
            self._take(elf, (END,))
        if self.run.symbols_file.is_file():
            self._take(self.run.symbols_file, (PANIC,))

    def _take(self, elf: Path, wanted: tuple[str, ...]) -> None:
        known = symbols.read(elf)
        found = {known.address(name): name for name in wanted}
        self._places |= {address: name for address, name in found.items() if address is not None}

    async def arm(self, stub: Stub) -> None:
        """Set the breakpoints, once in each machine."""
        if self._armed is not stub:
            self._armed = stub
            for address in self._places:
                await stub.set_breakpoint(address)

    def latest(self) -> float | None:
        """The machine need not stop for this."""
        return None

    def takes(self, address: int) -> bool:
        """Whether something crashes at this address."""
        return address in self._places

    async def came(self, now: float) -> None:
        """Nothing to do at the machine's own stops."""

    async def hit(self, stub: Stub, address: int) -> bool:
        """Look at a machine that a breakpoint of these has stopped, and go on behind it."""
        stopped = Stopped(stub)
        await stopped.learn()
        place = next((one for one in await stopped.places() if one.pc == address), None)
        if place is None:
            return False
        with contextlib.suppress(LabError, OSError):  # a core file is a help, and no more
            await self._keep(stopped, place, self._places[address])
        return await pass_on(stopped, place.thread, address)

    async def _keep(self, stopped: Stopped, place: Place, what: str) -> None:
        if place.hyp != (what == PANIC):  # another program has code at this address, too
            return
        registers = await _registers(stopped, place.thread)
        threads = [Thread(1, registers)]
        if what == PANIC:
            await self._write(XEN, threads, await self._of_xen(stopped))
            return
        found = await domains.find(stopped, self.dump, self.names)
        domain = next(one for one in found if one.vmid == place.vmid)
        pieces = await guest_memory.pieces(stopped, domain, self.dump)
        await self._write(domain.name, threads, pieces)

    async def _write(self, name: str, threads: list[Thread], pieces: list[Piece]) -> None:
        path = self.run.path / "core" / f"{name}.core"
        core_file.write(path, threads, pieces)
        self.cores[name] = path

    async def _of_xen(self, stopped: Stopped) -> list[Piece]:
        """Xen's own memory: what its ELF file has, and its heap."""
        tables = await stopped.register(stopped.arch.hyp_tables, stopped.threads[0])
        found = []
        for first, size in _segments(self.run.symbols_file):
            found.append(Piece(first, await stopped.read_through(tables, first, size)))
        _, heap = await domains.heap(stopped, self.dump)
        return [*found, Piece(stopped.arch.heap, heap)]


async def _registers(stopped: Stopped, thread: int) -> dict[str, int]:
    return {name: await stopped.register(name, thread) for name in stopped.core}


def _segments(elf: Path) -> Iterator[tuple[int, int]]:
    """The addresses and sizes of what an ELF file loads."""
    data = reading.data(elf, LARGEST)
    layout = elf_layout.layout_of(data)
    header = layout.header.at(data, 0)
    for number in range(header["segment_count"]):
        one = layout.segment.at(data, header["segments"] + number * header["segment_size"])
        if one["type"] == core_file.PT_LOAD and one["in_memory"]:
            yield one["address"], one["in_memory"]
