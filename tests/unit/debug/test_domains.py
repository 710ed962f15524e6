"""Domains are found in Xen's heap without Xen's symbols."""

from __future__ import annotations

import asyncio

import pytest

from debug.fake_stub import GUEST_MODE, FakeStub, monitor_of
from debug.fake_xen import FakeXen, map_guest
from lab.debug import processor
from lab.debug.domains import DomainFound
from lab.debug.instructions import successors
from lab.debug.monitor import LabMonitor
from lab.errors import LabError

GUEST = 0x2_0000_4A5A_4000
TWIN = 0x3_0000_4807_8000
PC, CPSR, SP_USR = 15, 16, 18


async def with_guests(stub: FakeStub, names: list[str] | None = None) -> LabMonitor:
    xen = FakeXen()
    xen.domain(0, 0x1_0000_4A5A_6000, {PC: 0xC041_FCC8, CPSR: 0x93})
    xen.domain(1, GUEST, {0: 7, PC: 0x4000_C8D0, CPSR: 0xDF, SP_USR: 0x4002_57E0})
    xen.domain(2, TWIN, {PC: 0x4000_8000, CPSR: 0xDF})
    xen.lay(stub)
    return await monitor_of(stub, names or ["", "hello", "hello2"])


def test_each_domain_has_its_vmid_its_name_and_its_vcpus() -> None:
    async def go() -> list[DomainFound]:
        monitor = await with_guests(FakeStub())
        return await monitor.find()

    found = asyncio.run(go())
    assert [(one.number, one.name, one.vmid) for one in found] == [
        (0, "dom0", 1), (1, "hello", 2), (2, "hello2", 3)
    ]  # fmt: skip
    assert [len(one.vcpus) for one in found] == [1, 1, 1]


def test_a_vcpu_that_waits_has_the_registers_that_xen_saved() -> None:
    async def go() -> dict[str, int]:
        stub = FakeStub()
        monitor = await with_guests(stub)
        await monitor.on("hello")
        return dict(await monitor.view.saved(0x100) or {})

    registers = asyncio.run(go())
    assert registers["pc"] == 0x4000_C8D0
    assert registers["sp"] == 0x4002_57E0  # the one of its mode, not Xen's own
    assert registers["r0"] == 7


def test_a_guests_memory_is_read_through_its_own_tables() -> None:
    """Both guests have the same addresses; Xen is what the PCPU executes now."""

    async def go() -> tuple[bytes, bytes]:
        stub = FakeStub()
        monitor = await with_guests(stub)
        map_guest(stub, GUEST, 0x4000_8000, 0x5000_0000)
        map_guest(stub, TWIN, 0x4000_8000, 0x5100_0000)
        stub.lay(0x5000_0FFC, b"left")
        stub.lay(0x5100_0FFC, b"twin")
        seen = []
        for name in ("hello", "hello2"):
            await monitor.on(name)
            seen.append(await monitor.view.read(0x4000_8FFC, 4))
            with pytest.raises(LabError, match=f"{name} has no memory"):
                await monitor.view.read(0x4100_0000, 4)
        return seen[0], seen[1]

    assert asyncio.run(go()) == (b"left", b"twin")


def test_a_pcpu_that_runs_the_guest_is_its_vcpu() -> None:
    async def go() -> tuple[int, str, str]:
        stub = FakeStub(2)
        stub.pcpus[1] |= {"cpsr": GUEST_MODE, "VTTBR": GUEST, "pc": 0x4000_9000}
        monitor = await with_guests(stub)
        await monitor.on("hello")
        on = await monitor.view.pcpu(0x100)
        words = await monitor.view.describe(0x100)
        await monitor.on("hello2")
        return on, words, await monitor.view.describe(0x100)

    on, words, other = asyncio.run(go())
    assert on == 2
    assert words == "hello vCPU 0: on PCPU 1"
    assert other == "hello2 vCPU 0: does not run now"


def test_a_name_that_is_none_gets_the_nearest() -> None:
    async def go() -> None:
        monitor = await with_guests(FakeStub())
        await monitor.on("helo2")

    with pytest.raises(LabError) as caught:
        asyncio.run(go())
    assert "hello2" in caught.value.hint


def test_a_heap_without_domains_is_an_error() -> None:
    async def go() -> None:
        stub = FakeStub()
        xen = FakeXen()
        xen.lay(stub)
        await (await monitor_of(stub)).find()

    with pytest.raises(LabError, match="no domain was found"):
        asyncio.run(go())


def test_a_block_covers_all_its_addresses() -> None:
    assert processor.entry_address(0x7C00_0000 | 1, 2, 0x4012_3456) == 0x7C12_3456
    assert processor.entry_address(0x7C00_0000 | 3, 2, 0x4012_3456) is None  # a table
    assert processor.entry_address(0x7C00_0000, 2, 0x4012_3456) is None


@pytest.mark.parametrize(
    ("instruction", "following"),
    [
        (0xE92D4010, [0x1004]),  # push {r4, lr}
        (0xEA000002, [0x1010]),  # b
        (0xEBFFFFFE, [0x1000]),  # bl to itself
        (0x0A000002, [0x1010, 0x1004]),  # beq
        (0xE12FFF1E, []),  # bx lr
        (0xE8BD8010, []),  # pop {r4, pc}
        (0xE1A0F00E, []),  # mov pc, lr
        (0xE59FF018, []),  # ldr pc, [pc, #24]
        (0xEF000000, []),  # svc
        (0xE140EA71, []),  # hvc #0xea1
        (0xE3A00000, [0x1004]),  # mov r0, #0
    ],
)
def test_what_follows_an_instruction(instruction: int, following: list[int]) -> None:
    assert successors(0x1000, instruction) == following
