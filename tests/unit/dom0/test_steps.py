"""Orders to dom0 at stops, against a machine that obeys as lab-steps does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lab.dom0.steps import MAGIC, MAILBOX, Mailbox, Order, Steps
from lab.errors import Dom0Error, UsageError
from lab.model import STEPS_ADDRESS, STEPS_APART

BOX = 0x2000
ALWAYS_THERE = 0x8000
HERTZ = 62_500_000


class Machine:
    """Memory, breakpoints, and a lab-steps that obeys when it goes on."""

    def __init__(self, obey: Callable[[Machine, Mailbox], None], room: int = 0) -> None:
        self.memory: dict[int, bytes] = {}
        self.breakpoints: set[int] = set()
        self.stopped_at: list[int] = []
        self.box = Mailbox(MAGIC, 0, 0, 0, 0, 0, 0, HERTZ, 1000, 0, ALWAYS_THERE, room, 0)
        self._obey = obey
        self._begun = self.left = False

    async def set_breakpoint(self, address: int) -> None:
        self.breakpoints.add(address)

    async def clear_breakpoint(self, address: int) -> None:
        self.breakpoints.remove(address)

    async def go(self) -> None:
        (place,) = self.breakpoints
        assert self.stopped_at[-1:] != [place], "QEMU would not get away from there"
        self.stopped_at.append(place)
        if self._begun:
            self._obey(self, self.box)
        self._begun = True

    async def register(self, number: int) -> int:
        assert number == 0
        return BOX

    async def read(self, address: int, size: int) -> bytes:
        if address == BOX:
            return MAILBOX.pack(*vars(self.box).values())
        return self.memory[address][:size]

    async def write(self, address: int, data: bytes) -> None:
        if address == BOX:
            self.box = Mailbox(*MAILBOX.unpack(data))
        else:
            self.memory[address] = data

    async def leave(self) -> None:
        self.left = True


async def unguarded(step: Awaitable[None], within: float, what: str) -> None:
    del within, what
    await step


def stopped(obey: Callable[[Machine, Mailbox], None], room: int = 0) -> tuple[Machine, Steps]:
    machine = Machine(obey, room)
    steps = Steps(machine, unguarded)
    asyncio.run(steps.arrive(1.0))
    return machine, steps


def room(box: Mailbox) -> bool:
    """Obeys ROOM; whether it was that."""
    if box.order == Order.ROOM:
        box.data, box.status = 0x9000, 0
    return box.order == Order.ROOM


def test_a_file_is_handed_over() -> None:
    """Room first, then the bytes, then the order; each stop is at the other place."""
    orders = []

    def obey(_: Machine, box: Mailbox) -> None:
        orders.append(Order(box.order))
        if not room(box):
            box.status = 0

    machine, steps = stopped(obey)
    asyncio.run(steps.write_file("/lab/guests/a.bin", b"\x7fELF"))
    assert orders == [Order.ROOM, Order.PUT]
    assert machine.memory[0x9000] == b"/lab/guests/a.bin\0\x7fELF"
    places = [STEPS_ADDRESS, STEPS_ADDRESS + STEPS_APART]
    assert machine.stopped_at == [places[0], places[1], places[0]]
    assert machine.breakpoints == set()


def test_what_is_small_needs_no_room() -> None:
    """It goes where there always is some: one stop fewer."""
    orders = []

    def obey(_: Machine, box: Mailbox) -> None:
        orders.append(Order(box.order))
        assert box.order != Order.PUT or box.data == ALWAYS_THERE
        box.status = 0

    machine, steps = stopped(obey, room=8)
    asyncio.run(steps.write_file("/a", b"12345"))
    assert orders == [Order.PUT]
    assert machine.memory[ALWAYS_THERE] == b"/a\x0012345"
    with pytest.raises(AssertionError):
        asyncio.run(steps.write_file("/a", b"123456"))
    assert orders == [Order.PUT, Order.ROOM, Order.PUT]


def test_a_program_says_what_it_said() -> None:
    def obey(machine: Machine, box: Mailbox) -> None:
        if not room(box):
            machine.memory |= {0x100: b"out", 0x200: b"err"}
            box.data, box.size, box.more, box.more_size, box.status = 0x100, 3, 0x200, 3, 3 << 8

    machine, steps = stopped(obey)
    result = asyncio.run(steps.run(["xl", "list"]))
    assert (result.status, result.stdout, result.stderr) == (3, b"out", b"err")
    assert machine.memory[0x9000] == b"xl\0list\0"


def test_a_program_that_is_not_there() -> None:
    def obey(machine: Machine, box: Mailbox) -> None:
        if not room(box):
            machine.memory |= {0: b"", 0x200: b"nosuch: No such f"}
            box.data, box.size, box.more, box.more_size, box.status = 0, 0, 0x200, 17, 127 << 8

    _, steps = stopped(obey)
    with pytest.raises(UsageError, match="nosuch"):
        asyncio.run(steps.run(["nosuch"]))


def test_dom0_refuses() -> None:
    """Its errno comes in words."""

    def obey(_: Machine, box: Mailbox) -> None:
        if not room(box):
            box.status = 28

    _, steps = stopped(obey)
    with pytest.raises(Dom0Error, match="No space left"):
        asyncio.run(steps.write_file("/x", b""))


def test_sleep_is_until_a_reading_of_the_counter() -> None:
    seen = []
    _, steps = stopped(lambda _, box: seen.append((Order(box.order), box.until)))
    asyncio.run(steps.sleep_until(2.0, 1.0))
    assert seen == [(Order.SLEEP, 2 * HERTZ)]
    assert steps.now == 1000 / HERTZ


@pytest.mark.parametrize("hold", [False, True])
def test_dom0_is_told_to_hold_its_guests(hold: bool) -> None:
    """With each order, before the stop that comes after it."""
    seen = []
    machine = Machine(lambda _, box: seen.append(box.hold), room=100)
    steps = Steps(machine, unguarded, hold=hold)
    asyncio.run(steps.arrive(1.0))
    asyncio.run(steps.unpause([1]))
    asyncio.run(steps.sleep_until(2.0, 1.0))
    assert seen == [hold, hold]


def test_what_is_not_lab_steps_is_not_obeyed() -> None:
    machine = Machine(lambda *_: None)
    machine.box.magic = 1
    with pytest.raises(Dom0Error, match="not that"):
        asyncio.run(Steps(machine, unguarded).arrive(1.0))


def test_release_lets_the_machine_run() -> None:
    machine, steps = stopped(lambda *_: None)
    asyncio.run(steps.release())
    assert machine.left
    assert machine.box.order == Order.LEAVE
