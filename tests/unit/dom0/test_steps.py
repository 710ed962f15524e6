"""Orders to dom0 at stops, against a machine that obeys like lab-steps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lab.dom0.steps import MAGIC, MAILBOX, Mailbox, Order, Steps
from lab.dom0.window import PAGE, Window
from lab.errors import Dom0Error, UsageError
from lab.model import STEPS_ADDRESS, STEPS_APART

BOX = 0x2000
#: Bytes of the window: the words' page, and two pages of a file.
ROOM = 3 * PAGE
HERTZ = 62_500_000


class Machine:
    """Memory, breakpoints, and a lab-steps that obeys when the machine continues."""

    def __init__(self, obey: Callable[[Machine, Mailbox], None]) -> None:
        self.memory: dict[int, bytes] = {}
        self.breakpoints: set[int] = set()
        self.stopped_at: list[int] = []
        self.turned_to: list[tuple[int, int]] = []
        self.box = Mailbox(MAGIC, 0, 0, 0, 0, 0, 0, HERTZ, 1000, 0, ROOM, 0)
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

    async def turn_to(self, number: int, value: int) -> None:
        self.turned_to.append((number, value))

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


@pytest.fixture
def window(tmp_path: Path) -> Window:
    """The memory that both sides share."""
    (tmp_path / "window").write_bytes(bytes(ROOM))
    return Window(tmp_path / "window")


def stopped(window: Window, obey: Callable[[Machine, Mailbox], None]) -> tuple[Machine, Steps]:
    machine = Machine(obey)
    steps = Steps(machine, unguarded, window)
    asyncio.run(steps.arrive(1.0))
    return machine, steps


def words(window: Window, box: Mailbox) -> bytes:
    """The words of an order."""
    return window.read(box.size)


def test_a_file_is_handed_over(window: Window) -> None:
    """In as many pieces as it takes; stops alternate between the two places."""
    found = bytearray()

    def obey(_: Machine, box: Mailbox) -> None:
        assert (box.order, words(window, box)) == (Order.PUT, b"/lab/guests/a.bin\0")
        assert box.until == len(found)
        found.extend(window.read(PAGE + box.more_size)[PAGE:])

    machine, steps = stopped(window, obey)
    data = bytes(range(256)) * 40
    asyncio.run(steps.write_file("/lab/guests/a.bin", data))
    assert found == data
    places = [STEPS_ADDRESS, STEPS_ADDRESS + STEPS_APART]
    assert machine.stopped_at == [*places, places[0]]
    assert machine.breakpoints == set()


def test_an_empty_file_is_one_too(window: Window) -> None:
    """dom0 makes it, and leaves nothing of the file before."""
    seen = []
    _, steps = stopped(window, lambda _, box: seen.append((Order(box.order), box.more_size)))
    asyncio.run(steps.write_file("/a", b""))
    assert seen == [(Order.PUT, 0)]


def test_a_file_is_read(window: Window) -> None:
    """Piece by piece, until one is not whole, but no more than was asked for."""
    data = bytes(range(256)) * 100

    def obey(_: Machine, box: Mailbox) -> None:
        assert (box.order, words(window, box)) == (Order.GET, b"/a\0")
        piece = data[box.until : box.until + ROOM]
        window.write(0, piece)
        box.size = len(piece)

    _, steps = stopped(window, obey)
    assert asyncio.run(steps.read_file("/a")) == data
    assert asyncio.run(steps.read_file("/a", 5)) == data[:5]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [("window", 0, "window has 0 bytes"), ("window", 1 << 30, "the host's has 12288"),
     ("size", 0xFFFF_FFFF, "more than 64M"), ("more_size", 1 << 31, "more than 64M")],
)  # fmt: skip
def test_what_dom0_says_is_looked_at(window: Window, field: str, value: int, says: str) -> None:
    """A dom0 that a guest took over cannot make us write beyond the window, or read for ever."""
    _, steps = stopped(window, lambda _, box: setattr(box, field, value))
    with pytest.raises(Dom0Error, match=says):
        asyncio.run(steps.read_file("/a"))


def test_words_have_an_end(window: Window) -> None:
    """If the order is longer than dom0 accepts, the error comes before dom0 is told."""
    _, steps = stopped(window, lambda *_: pytest.fail("dom0 was told"))
    with pytest.raises(Dom0Error, match="12288 bytes at once"):
        asyncio.run(steps.run(["echo", "x" * ROOM]))


def test_a_program_says_what_it_said(window: Window) -> None:
    def obey(machine: Machine, box: Mailbox) -> None:
        assert words(window, box) == b"xl\0list\0"
        machine.memory |= {0x100: b"out", 0x200: b"err"}
        box.data, box.size, box.more, box.more_size, box.status = 0x100, 3, 0x200, 3, 3 << 8

    _, steps = stopped(window, obey)
    result = asyncio.run(steps.run(["xl", "list"]))
    assert (result.status, result.stdout, result.stderr) == (3, b"out", b"err")


def test_a_program_that_is_not_there(window: Window) -> None:
    def obey(machine: Machine, box: Mailbox) -> None:
        machine.memory |= {0: b"", 0x200: b"nosuch: No such f"}
        box.data, box.size, box.more, box.more_size, box.status = 0, 0, 0x200, 17, 127 << 8

    _, steps = stopped(window, obey)
    with pytest.raises(UsageError, match="nosuch"):
        asyncio.run(steps.run(["nosuch"]))


def test_dom0_refuses(window: Window) -> None:
    """Its errno is explained; if its memory is full, with what to do."""

    def obey(_: Machine, box: Mailbox) -> None:
        box.status = 28

    _, steps = stopped(window, obey)
    with pytest.raises(Dom0Error, match="No space left") as caught:
        asyncio.run(steps.write_file("/x", b""))
    assert "dom0: {memory:" in caught.value.hint


def test_sleep_is_until_a_reading_of_the_counter(window: Window) -> None:
    seen = []
    _, steps = stopped(window, lambda _, box: seen.append((Order(box.order), box.until)))
    asyncio.run(steps.sleep_until(2.0, 1.0))
    assert seen == [(Order.SLEEP, 2 * HERTZ)]
    assert steps.now == 1000 / HERTZ


@pytest.mark.parametrize("hold", [False, True])
def test_dom0_is_told_to_hold_its_guests(window: Window, hold: bool) -> None:
    """With each order, before the stop that follows."""
    seen = []
    machine = Machine(lambda _, box: seen.append(box.hold))
    steps = Steps(machine, unguarded, window, hold=hold)
    asyncio.run(steps.arrive(1.0))
    asyncio.run(steps.unpause([1]))
    asyncio.run(steps.sleep_until(2.0, 1.0))
    assert seen == [hold, hold]


def test_what_is_not_lab_steps_is_not_obeyed(window: Window) -> None:
    machine = Machine(lambda *_: None)
    machine.box.magic = 1
    with pytest.raises(Dom0Error, match="another program than lab-steps"):
        asyncio.run(Steps(machine, unguarded, window).arrive(1.0))


def test_release_lets_the_machine_run(window: Window) -> None:
    machine, steps = stopped(window, lambda *_: None)
    asyncio.run(steps.release())
    assert machine.left
    assert machine.box.order == Order.LEAVE


def test_a_restored_machine_is_asked_where_dom0_stands(window: Window) -> None:
    """At the stop that its template says. It need not be on the first CPU."""
    for count, place in ((1, STEPS_ADDRESS), (2, STEPS_ADDRESS + STEPS_APART)):
        machine = Machine(lambda _, __: None)
        steps = Steps(machine, unguarded, window)
        asyncio.run(steps.return_to(count))
        assert machine.turned_to == [(15, place)]
        assert (steps.count, steps.box.frequency) == (count, HERTZ)
