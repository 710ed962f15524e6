"""Xen's core file: the registers that it printed, and the memory that its own tables map."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

from debug.fake_stub import FakeStub, view_of
from debug.test_core_file import threads_of
from lab.debug import crashes, xen_dump, xen_memory
from lab.debug.core_file import FAULTED, Piece
from lab.debug.machine_view import VCPU
from lab.debug.processor import PAGE
from lab.util.symbols import Symbols

#: Of Debian's Xen 4.17.5, and of a guest that a debug key shows; recorded.
PANIC = """\
(XEN) [    9.023620] CPU0: Unexpected Trap: Undefined Instruction
(XEN) [    9.024349] ----[ Xen-4.17.5  arm32  debug=n  Not tainted ]----
(XEN) [    9.028953] CPU:    0
(XEN) [    9.029179] PC:     0025ad10 gic-v2.c#gicv2_read_irq+0x10/0x18
(XEN) [    9.029909] CPSR:   600c00da MODE:Hypervisor
(XEN) [    9.030273]      R0: 0000001b R1: 00000000 R2: 00000000 R3: 1000b000
(XEN) [    9.031066]      R8: 600c0013 R9: d1129ec0 R10:c23b5d14 R11:4001ff58 R12:00000001
(XEN) [    9.031521] HYP: SP: 4001ff34 LR: 0025aa54   # 0025aa54 gic_interrupt+0x40
(XEN) [    9.031916]   VTCR_EL2: 80003558
(XEN) [    9.036979] Xen stack trace from sp=4001ff34:
(XEN) [    9.037252]    00000000 00000000 c228b000 00000000 00000000 c228b000 00000000 0000005a
(XEN) [    9.046317] Panic on CPU 0:
"""
GUEST = """\
(XEN) ----[ Xen-4.17.5  arm32  debug=n  Not tainted ]----
(XEN) PC:     c0408f50
(XEN) CPSR:   60070013 MODE:32-bit Guest SVC
(XEN)      R0: 00000005 R1: 00000000 R2: 00000000 R3: 00000000
"""
PANIC_64 = """\
(XEN) ----[ Xen-4.20.4  arm64  debug=y  Not tainted ]----
(XEN) PC:     00000a0000221350 keyhandler.c#show_handlers+0x10/0x60
(XEN) LR:     00000a0000221a10
(XEN) SP:     000080007ffefd40
(XEN) CPSR:   0000000080000249 MODE:64-bit EL2h (Hypervisor, handler)
(XEN)      X0: 0000000000000068  X1: 0000000000000001  X2: 0000000000000002
(XEN)     X27: 0000000000000000 X28: 0000000000000003  FP: 000080007ffefd50
(XEN) Panic on CPU 0:
"""
TABLES = 0x4A00_0000


def test_the_registers_of_the_code_that_faulted() -> None:
    found = xen_dump.registers(GUEST + PANIC)
    assert (found["pc"], found["sp"], found["lr"]) == (0x25AD10, 0x4001FF34, 0x25AA54)
    assert (found["r0"], found["r10"], found["r12"]) == (0x1B, 0xC23B5D14, 1)
    assert found["cpsr"] == 0x600C00DA


def test_registers_of_arm64_have_gdbs_names() -> None:
    found = xen_dump.registers(PANIC_64)
    assert (found["pc"], found["x30"]) == (0xA0000221350, 0xA0000221A10)
    assert (found["x29"], found["sp"], found["x28"]) == (0x80007FFEFD50, 0x80007FFEFD40, 3)
    assert found["cpsr"] == 0x80000249


def test_registers_of_a_guest_are_not_xens() -> None:
    assert xen_dump.registers(GUEST) == {}
    assert xen_dump.registers("(XEN) Panic on CPU 0:\n(XEN) no dump at all\n") == {}


def machine() -> FakeStub:
    """Two PCPUs in Xen, whose tables map two pages, a device, and a page of a domain."""
    stub = FakeStub(2)
    for number, pcpu in enumerate(stub.pcpus):
        pcpu |= {"HTTBR": TABLES, "pc": 0x20_0000 + 4 * number}
    level_2, level_3, normal, device = TABLES + PAGE, TABLES + 2 * PAGE, 7 << 2 | 3, 4 << 2 | 3
    stub.lay(TABLES, struct.pack("<4Q", level_2 | 3, 0, 0x8000_0000 | 7 << 2 | 1, 0))
    stub.lay(level_2 + 8, struct.pack("<Q", level_3 | 3))  # 0x200000
    pages = (0x5000_0000 | normal, 0x5000_1000 | normal, 0x0900_0000 | device)
    stub.lay(level_3, struct.pack("<3Q", *pages))
    stub.lay(0x5000_0000, b"code")
    return stub


async def no_dump(first: int, size: int) -> bytes:
    raise AssertionError(f"{size} bytes at {first:#x} are few enough for the gdbstub")


def test_xens_memory_is_what_its_tables_map() -> None:
    """Without devices, and without domains' memory that it looks at."""

    async def go() -> list[Piece]:
        view = await view_of(machine())
        return await xen_memory.pieces(view.stopped, 1, no_dump)

    (piece,) = asyncio.run(go())
    assert (piece.address, len(piece.data)) == (0x20_0000, 2 * PAGE)
    assert piece.data.startswith(b"code")


def test_the_core_has_the_fault_first_then_the_pcpu_that_panicked(tmp_path: Path) -> None:
    path = tmp_path / "xen.core"

    async def go(faulted: dict[str, int]) -> list[int]:
        await crashes.keep_xen(await view_of(machine()), no_dump, path, faulted, 1)
        return threads_of(path)

    assert asyncio.run(go(xen_dump.registers(PANIC))) == [FAULTED, VCPU + 1, VCPU]
    assert asyncio.run(go({})) == [VCPU + 1, VCPU]


def test_a_pcpu_leaves_functions_in_assembly_first() -> None:
    """GDB finds no way back from them."""
    known = Symbols((0x100, 0x200), ("__aeabi_uldivmod", "udelay"), ((0x100, 0x300),))
    stub = machine()
    stub.pcpus[0]["pc"] = 0x110
    steps = []

    async def step(thread: int) -> None:
        steps.append(thread)
        stub.pcpus[thread - 1]["pc"] += 0x80

    stub.step = step  # type: ignore[attr-defined]

    async def go() -> None:
        await crashes.leave_helpers((await view_of(stub)).stopped, 0, known)

    asyncio.run(go())
    assert steps == [1, 1]
    assert stub.pcpus[0]["pc"] == 0x210
