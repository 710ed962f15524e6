"""Steps of a guest through a run that is replayed, in which Xen runs between its instructions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lab.debug.domains import DomainFound
from lab.debug.history import GO_BACK, STEP_BACK, History
from lab.debug.processor import ARM32
from lab.debug.rewinding import Breakpoints, Rewinder, Stop
from lab.debug.scope import ALL, Scope
from lab.debug.stopped import Place

GUEST, DOM0 = 2, 1
VECTORS, PC = 0x20_0000, 0x4000_8000
VCPU = 0x100
STEP, CONTINUE = b"vCont;s:100;c", b"vCont;c"
#: The run, instruction by instruction: whether Xen executes it, and whose memory is there.
RUN = [(False, GUEST), (False, GUEST), (True, GUEST), (True, DOM0), (False, DOM0), (True, DOM0),
       (True, GUEST), (True, GUEST), (False, GUEST), (False, GUEST)]  # fmt: skip


class FakeMachine:
    """Replays RUN. At the first instruction of Xen after others it is at a vector; each instruction
    of the guest is four bytes after the one before."""

    def __init__(self, now: int) -> None:
        self.now, self.begin = now, 0
        self.set: set[int] = set()

    def place(self, now: int) -> Place:
        hyp, vmid = RUN[now]
        enters = hyp and now > 0 and not RUN[now - 1][0]
        before = sum(one == (False, GUEST) for one in RUN[:now])
        pc = VECTORS + (0x14 if enters else 0x1000) if hyp else PC + 4 * before
        return Place(1, pc, hyp, vmid)

    async def stand_at(self, at: int, wish: asyncio.Event | None = None) -> None:
        del wish
        self.now = at

    async def run_to(self, at: int, wish: asyncio.Event) -> bytes:
        del wish
        while self.now < at:
            if self.place(self.now).pc in self.set:
                return b"T05thread:01;"
            self.now += 1
        return b""

    async def ask(self, packet: bytes) -> bytes:
        address = int(packet.split(b",")[1], 16)
        (self.set.add if packet[:1] == b"Z" else self.set.discard)(address)
        return b"OK"


class FakeView:
    """What the debugger sees of it. It is its own ``stopped``."""

    def __init__(self, machine: FakeMachine, scope: Scope) -> None:
        self.stub = machine
        self.scope = scope
        self.arch, self.threads = ARM32, [1]

    @property
    def stopped(self) -> FakeView:
        return self

    async def places(self) -> list[Place]:
        return [self.stub.place(self.stub.now)]

    async def place(self, thread: int) -> Place:
        del thread
        return self.stub.place(self.stub.now)

    async def register(self, name: str, thread: int) -> int:
        assert (name, thread) == ("VBAR_EL2", 1)
        return VECTORS

    async def pcpu(self, thread: int) -> int:
        return int(thread == 1 or self.scope.has(self.stub.place(self.stub.now)))

    async def saved(self, thread: int) -> dict[str, int] | None:
        if await self.pcpu(thread):
            return None
        before = sum(one == (False, GUEST) for one in RUN[: self.stub.now])
        return {"pc": PC + 4 * before}


@pytest.fixture(autouse=True)
def undecoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody decodes the instructions: they have no memory here."""

    async def nothing(*_: Any) -> list[int]:
        return []

    monkeypatch.setattr("lab.debug.passing.after", nothing)


def moved(begin: int, *packets: bytes, scope: Scope | None = None) -> list[int | None]:
    """Where the machine stands after each packet; ``None`` where the run begins or ends."""
    guest = DomainFound(1, "guest", GUEST << 48)
    machine = FakeMachine(begin)
    view = FakeView(machine, scope or Scope("guest", guest))

    async def nothing(_: object = None) -> None: ...

    async def counts(_: bytes) -> bool:
        return True

    history = History(view, nothing, Rewinder(machine, len(RUN) - 1), Breakpoints(nothing, counts))  # type: ignore[arg-type]

    async def go() -> list[Stop | None]:
        thread = VCPU if scope is None else 1
        return [await history.move(one, thread * (one == STEP), asyncio.Event()) for one in packets]

    stops = asyncio.run(go())
    assert not machine.set, "breakpoints of our own are left"
    return [None if stop is None else stop.at for stop in stops]


def test_back_through_xen_to_where_the_guest_was_left() -> None:
    """dom0's entry into Xen, which comes later, does not count."""
    assert moved(9, STEP_BACK, STEP_BACK, STEP_BACK, STEP_BACK) == [8, 1, 0, None]


def test_back_by_every_instruction_of_the_machine() -> None:
    assert moved(4, *[STEP_BACK] * 4, scope=ALL) == [3, 2, 1, 0]


def test_forwards_through_xen_to_where_the_guest_goes_on() -> None:
    assert moved(0, STEP, STEP, STEP, STEP) == [1, 8, 9, None]


def test_a_guest_that_does_not_run_steps_as_soon_as_it_does() -> None:
    assert moved(4, STEP) == [8]


def test_without_breakpoints_it_goes_to_both_ends() -> None:
    assert moved(4, GO_BACK, CONTINUE) == [None, None]
