"""A gdbstub with one or two PCPUs, as QEMU 10 speaks: registers, memory, and a list of stops."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from lab.debug import processor
from lab.debug.machine_view import MachineView
from lab.debug.monitor import LabMonitor
from lab.debug.processor import PAGE
from lab.debug.stopped import Stopped

#: The target description, cut down to what is looked at (recorded from qemu-system-arm 10.0.13).
TARGET = (
    '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target>'
    "<architecture>arm</architecture>"
    '<xi:include href="arm-core.xml"/><xi:include href="system-registers.xml"/></target>'
)
CORE = (
    "".join(f'<reg name="r{n}" bitsize="32"/>' for n in range(13))
    + '<reg name="sp" bitsize="32" type="data_ptr"/><reg name="lr" bitsize="32"/>'
    + '<reg name="pc" bitsize="32" type="code_ptr"/><reg name="cpsr" bitsize="32" regnum="25"/>'
)
SYSTEM = (
    '<reg name="HTTBR" bitsize="64" regnum="205" group="cp_regs"/>'
    '<reg name="VTTBR" bitsize="64" regnum="206" group="cp_regs"/>'
    '<reg name="VTCR" bitsize="32" regnum="207" group="cp_regs"/>'
    '<reg name="VBAR_EL2" bitsize="32" regnum="208" group="cp_regs"/>'
)
XML = {"target.xml": TARGET, "arm-core.xml": CORE, "system-registers.xml": SYSTEM}
GUEST_MODE, HYP_MODE = 0x1F, 0x1A
#: The same of qemu-system-aarch64 10.0.13.
TARGET_64 = (
    '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target>'
    "<architecture>aarch64</architecture>"
    '<xi:include href="aarch64-core.xml"/><xi:include href="system-registers.xml"/></target>'
)
CORE_64 = (
    "".join(f'<reg name="x{n}" bitsize="64"/>' for n in range(31))
    + '<reg name="sp" bitsize="64" type="data_ptr"/><reg name="pc" bitsize="64" type="code_ptr"/>'
    + '<reg name="cpsr" bitsize="32"/>'
)
NAMES_64 = ("HCR_EL2", "TTBR0_EL2", "VTTBR_EL2", "VTCR_EL2", "VBAR_EL2")
SYSTEM_64 = "".join(
    f'<reg name="{name}" bitsize="64" regnum="{number}" group="cp_regs"/>'
    for number, name in enumerate(
        ("HCR_EL2", "TTBR0_EL2", "VTTBR_EL2", "VTCR_EL2", "VBAR_EL2"), 148
    )
)
XML_64 = {"target.xml": TARGET_64, "aarch64-core.xml": CORE_64, "system-registers.xml": SYSTEM_64}
HYP_MODE_64, GUEST_MODE_64 = 0x2C9, 0x2C4
#: What a PCPU that executes Xen has at first: tables of a domain of 40 bits, guests of 64 bits.
AT_FIRST = {"pc": 0, "cpsr": HYP_MODE, "HTTBR": 0, "VTTBR": 1 << 48, "VTCR": 0x8000_3558}
AT_FIRST_64 = {
    "pc": 0, "cpsr": HYP_MODE_64, "TTBR0_EL2": 0, "VTTBR_EL2": 1 << 48, "VTCR_EL2": 0x8004_3594,
    "HCR_EL2": 0x807C_663F, "VBAR_EL2": 0,
}  # fmt: skip


class FakeStub:
    """Attributes:
    pcpus: the registers of each PCPU, by name.
    memory: physical memory, by the address of its page.
    stops: what is reported when the machine runs: a report, and what it changes.
    sent: every packet that came.
    kept: what a step of a PCPU reports, by its number: a hit that QEMU did not report.
    monitor_says: what QEMU's monitor says to ``info registers -a``.
    """

    def __init__(self, pcpus: int = 1, wide: bool = False) -> None:
        self._xml = XML_64 if wide else XML
        self._names: dict[int, str] = {}
        for one in list(self._xml.values())[1:]:
            found = processor.numbers(one, max(self._names, default=-1) + 1)
            self._names |= {number: name for name, (number, _) in found.items()}
        self.pcpus = [dict(AT_FIRST_64 if wide else AT_FIRST) for _ in range(pcpus)]
        self.monitor_says = ""
        self.memory: dict[int, bytearray] = {}
        self.stops: list[tuple[bytes, dict[str, int]]] = []
        self.kept: dict[int, bytes] = {}
        self.sent: list[bytes] = []
        self._selected = 1

    def lay(self, address: int, data: bytes) -> None:
        """Put bytes into physical memory."""
        for at, byte in enumerate(data, address):
            page = self.memory.setdefault(at - at % PAGE, bytearray(PAGE))
            page[at % PAGE] = byte

    async def ask(self, packet: bytes) -> bytes:
        self.sent.append(packet)
        if found := re.match(rb"qXfer:features:read:([^:]+):([0-9a-f]+),", packet):
            text = self._xml[found[1].decode()].encode()[int(found[2], 16) :]
            return b"l" + text
        if packet == b"qfThreadInfo":
            return b"m" + b",".join(b"%02x" % n for n in range(1, len(self.pcpus) + 1))
        if packet[:2] == b"Hg":
            self._selected = int(packet[2:], 16)
        if packet == b"g":
            return b"00" * 68
        known = (b"Hg", b"Qqemu", b"Z", b"z", b"D")
        return b"l" if packet == b"qsThreadInfo" else b"OK" if packet.startswith(known) else b""

    async def register(self, number: int) -> int:
        return self.pcpus[self._selected - 1].get(self._names[number], 0)

    async def monitor(self, command: str) -> str:
        self.sent.append(command.encode())
        return self.monitor_says

    async def read(self, address: int, size: int) -> bytes:
        return self.physical(address, size)

    def physical(self, address: int, size: int) -> bytes:
        """What is in physical memory."""
        parts = [self.memory.get(at - at % PAGE, bytearray(PAGE))[at % PAGE]
                 for at in range(address, address + size)]  # fmt: skip
        return bytes(parts)

    async def write(self, address: int, data: bytes) -> None:
        self.lay(address, data)

    async def resume(self, packet: bytes, wish: asyncio.Event) -> bytes:
        self.sent.append(packet)
        if packet.startswith(b"vCont;s"):
            thread_number = packet.rpartition(b":")[2]
            hit = self.kept.pop(int(thread_number), b"")
            return b"T05thread:%s;%s" % (thread_number, hit)
        if wish.is_set() or not self.stops:
            await wish.wait()
            return b"T02thread:01;"
        report, registers = self.stops.pop(0)
        thread = re.search(rb"thread:0?([0-9]+)", report)
        if thread:
            self.pcpus[int(thread[1]) - 1] |= registers
        return report


async def view_of(stub: FakeStub) -> MachineView:
    stopped = Stopped(stub)  # type: ignore[arg-type]
    await stopped.learn()
    return MachineView(stopped)


async def monitor_of(stub: FakeStub, names: Sequence[str] = ()) -> LabMonitor:
    async def dump(first: int, size: int) -> bytes:
        return stub.physical(first, size)

    known = {number: name for number, name in enumerate(names) if name}
    return LabMonitor(await view_of(stub), dump, known)
