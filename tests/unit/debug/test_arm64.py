"""Machines of arm64: their registers and tables, and guests of 32 bits on them."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest

from debug.conversation import answers
from debug.fake_stub import GUEST_MODE_64, FakeStub, monitor_of
from debug.fake_xen import FakeXen, map_guest
from debug.test_proxy import answer, question
from lab.debug import processor, registers
from lab.debug.domains import DomainFound
from lab.debug.instructions import successors
from lab.debug.monitor import LabMonitor
from lab.debug.processor import ARM32, ARM64

WIDE, NARROW = 0x2_0000_4C61_D000, 0x3_0000_4804_8000
LR, PC, CPSR, SP_EL0, SP_EL1 = 30, 32, 33, 39, 40
#: HCR_EL2 while a guest of 32 bits is the PCPU's: RW is 0.
HCR_NARROW = 0x7C_663F
#: What QEMU 10.0.13 says to "info registers -a": a PCPU in Xen, and one in a guest of 32 bits.
SAID = """
CPU#0
 PC=000000000025a8c4 X00=0000000000000000 X01=0000000000000000
X02=00000000002f8048 X30=000000000025a884  SP=000080000800fe40
PSTATE=600002c9 -ZC- EL2h     FPCR=00000000 FPSR=00000000

CPU#1
R00=00000007 R01=00000002 R02=7cb3d667 R03=00000001
R04=40027368 R05=7c52900f R06=000001de R07=40027360
R08=00000000 R09=40024020 R10=40027374 R11=40028418
R12=00000000 R13=40027108 R14=4000db08 R15=40009624
PSR=600001df -ZC- A NS sys32
s00=00000000 s01=00000000 d00=0000000000000000
"""


async def with_guests(stub: FakeStub) -> LabMonitor:
    xen = FakeXen(ARM64)
    xen.domain(0, 0x1_0000_7FFF_3000, {PC: 0xFFFF_8000_0800_0000, CPSR: 5})
    frame = {0: 7, LR: 8, PC: 0x4000_E9F0, CPSR: 0x8000_02C4, SP_EL0: 0x4002_4250, SP_EL1: 9}
    xen.domain(1, WIDE, frame)
    xen.domain(2, NARROW, {0: 5, 13: 0x4002_7108, 14: 0x4000_DB08, PC: 0x4000_DB28, CPSR: 0xDF})
    xen.lay(stub)
    return await monitor_of(stub, ["", "wide", "narrow"])


def test_domains_of_both_widths_are_found() -> None:
    async def go() -> list[DomainFound]:
        return await (await with_guests(FakeStub(2, wide=True))).find()

    found = asyncio.run(go())
    assert [(one.name, one.vmid, one.narrow) for one in found] == [
        ("dom0", 1, False), ("wide", 2, False), ("narrow", 3, True)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("wide", {"x0": 7, "x30": 8, "sp": 0x4002_4250, "pc": 0x4000_E9F0, "cpsr": 0x8000_02C4}),
        (
            "narrow",
            {"r0": 5, "sp": 0x4002_7108, "lr": 0x4000_DB08, "pc": 0x4000_DB28, "cpsr": 0xDF},
        ),
    ],
)
def test_a_vcpu_that_waits_has_the_registers_of_its_width(
    name: str, wanted: dict[str, int]
) -> None:
    async def go() -> dict[str, int]:
        monitor = await with_guests(FakeStub(wide=True))
        await monitor.on(name)
        return dict(await monitor.view.saved(0x100) or {})

    assert wanted.items() <= asyncio.run(go()).items()


def test_a_handler_of_a_guest_has_its_own_stack_pointer() -> None:
    words = [0] * 44
    words[PC], words[CPSR], words[SP_EL0], words[SP_EL1] = 0x1000, 0x3C5, 1, 2
    assert registers.of_arm64(struct.pack("<44Q", *words))["sp"] == 2


@pytest.mark.parametrize(("mode", "sp", "lr"), [(0x1F, 13, 14), (0x13, 19, 18), (0x11, 29, 30)])
def test_a_mode_of_32_bits_has_its_own_stack_pointer(mode: int, sp: int, lr: int) -> None:
    words = [*range(100, 144)]
    words[CPSR] = mode
    found = registers.of_arm64(struct.pack("<44Q", *words))
    assert (found["sp"], found["lr"]) == (100 + sp, 100 + lr)
    assert found["r8"] == (124 if mode == 0x11 else 108)


def narrow_runs(stub: FakeStub) -> None:
    """PCPU 1 executes the guest of 32 bits; its gdbstub still shows Xen's registers."""
    stub.pcpus[1] |= {"VTTBR_EL2": NARROW, "HCR_EL2": HCR_NARROW, "pc": 0x26_0000}
    stub.monitor_says = SAID


def talk(stub: FakeStub, on: str, *packets: bytes) -> list[bytes]:
    return answers(with_guests(stub), on, *packets)


def test_the_registers_of_a_running_guest_of_32_bits_are_those_of_qemus_monitor() -> None:
    stub = FakeStub(2, wide=True)
    narrow_runs(stub)
    said = talk(stub, "narrow", b"g", b"P0=00000000", b"qXfer:features:read:target.xml:0,fff")
    values = struct.unpack("<17I", bytes.fromhex(said[0].decode()))
    assert (values[0], values[13], values[15], values[16]) == (
        7, 0x4002_7108, 0x4000_9624, 0x6000_01DF
    )  # fmt: skip
    assert b"can only be read" in said[1]
    assert b"org.gnu.gdb.arm.core" in said[2]


def test_everywhere_they_have_the_names_of_the_machine() -> None:
    stub = FakeStub(2, wide=True)
    narrow_runs(stub)
    said = talk(stub, "everywhere", b"Hg2", b"g")[-1]
    values = struct.unpack("<14Q", bytes.fromhex(said[: 14 * 16].decode()))
    assert (values[0], values[13]) == (7, 0x4002_7108)
    assert bytes.fromhex(said[32 * 16 : 33 * 16].decode()) == struct.pack("<Q", 0x4000_9624)


def test_a_breakpoint_counts_in_the_guest_of_32_bits() -> None:
    """A hit in the other guest, whose PCPU is one of 64 bits then, goes unseen."""
    stub = FakeStub(2, wide=True)
    stub.monitor_says = SAID
    at = {"pc": 0x4000_9624, "cpsr": GUEST_MODE_64, "VTTBR_EL2": WIDE, "HCR_EL2": 0x807C_663F}
    stub.stops = [
        (b"T05thread:02;", at),
        (b"T05thread:02;", {"VTTBR_EL2": NARROW, "HCR_EL2": HCR_NARROW, "pc": 0x26_0000}),
    ]
    assert talk(stub, "narrow", b"Z0,40009624,4", b"vCont;c") == [b"OK", b"T05thread:100;"]
    assert stub.sent.count(b"vCont;s:2") == 1


def test_gdb_hears_how_wide_a_guest_is() -> None:
    said = talk(
        FakeStub(2, wide=True), "wide", question("on", name="narrow"), question("on", name="wide")
    )
    told: list[Any] = [answer(one) for one in said]
    assert [one["narrow"] for one in told] == [True, False]


def test_a_guests_memory_is_read_through_tables_that_begin_at_level_0() -> None:
    async def go() -> bytes:
        stub = FakeStub(wide=True)
        for pcpu in stub.pcpus:
            pcpu["VTCR_EL2"] = 0x8004_3594
        monitor = await with_guests(stub)
        map_guest(stub, WIDE, 0x4000_8000, 0x5000_0000, level=0)
        stub.lay(0x5000_0FFC, b"wide")
        await monitor.on("wide")
        return await monitor.view.read(0x4000_8FFC, 4)

    assert asyncio.run(go()) == b"wide"


def test_the_form_of_a_domains_tables() -> None:
    """Recorded from Cortex-A15, Cortex-A57 (44 bits) and a processor of 40 bits."""
    a15 = processor.stage2(ARM32, NARROW, 0x8000_3558)
    a57 = processor.stage2(ARM64, NARROW, 0x8004_3594)
    a53 = processor.stage2(ARM64, NARROW, 0x8002_3558)
    assert [(one.level, one.bits, one.count) for one in (a15, a57, a53)] == [
        (1, 40, 1024), (0, 44, 32), (1, 40, 1024)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("instruction", "following"),
    [
        (0xA9BF7BFD, [0x1004]),  # stp x29, x30, [sp, #-16]!
        (0x14000002, [0x1008]),  # b
        (0x97FFFFFF, [0xFFC]),  # bl
        (0x54000041, [0x1008, 0x1004]),  # b.ne
        (0xB4000040, [0x1008, 0x1004]),  # cbz x0
        (0x3607FFE0, [0xFFC, 0x1004]),  # tbz w0, #0
        (0xD65F03C0, []),  # ret
        (0xD63F0060, []),  # blr x3
        (0xD69F03E0, []),  # eret
        (0xD4000001, []),  # svc #0
        (0xD41D5020, []),  # hvc
        (0xD503207F, [0x1004]),  # wfi
    ],
)
def test_what_follows_an_instruction_of_64_bits(instruction: int, following: list[int]) -> None:
    assert successors(0x1000, instruction, wide=True) == following
