"""Going backwards through a run that can only be replayed forwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from lab.debug.rewinding import FIRST, MANY, Breakpoints, Rewinder, Stop
from lab.machine.recording import Changes

BEGIN, END = 1000, 50_000_000
BREAK, WATCH = b"T05thread:01;", b"T05watch:4000;thread:01;"


class FakeReplay:
    """A run in which breakpoints are hit at known places, if they are set.

    The machine stands before the instruction, and while it is watched does not get past it.
    """

    def __init__(self, breaks: Iterable[int] = (), writes: Iterable[int] = ()) -> None:
        self.hits = dict.fromkeys(breaks, BREAK) | dict.fromkeys(writes, WATCH)
        self.now = self.begin = BEGIN
        self.set = False
        self.stops = 0
        self.interrupted = 0

    async def stand_at(self, at: int, wish: asyncio.Event | None = None) -> None:
        assert not self.set, "a breakpoint would stop it on the way"
        if wish and wish.is_set():
            self.now = self.begin  # it has to begin anew, and goes no further
        elif wish and at == self.interrupted:
            wish.set()
            self.now = at - 1
        else:
            self.now = at

    async def run_to(self, at: int, wish: asyncio.Event) -> bytes:
        del wish
        ahead = [place for place in self.hits if self.now <= place < at]
        if not (self.set and ahead):
            self.now = at
            return b""
        self.stops += 1
        self.now = min(ahead)
        return self.hits[self.now]

    async def arm(self, wanted: bool) -> None:
        self.set = wanted


def rewinder(replay: FakeReplay, passed: Iterable[int] = ()) -> tuple[Rewinder, Breakpoints]:
    """``passed``: places whose hits do not count."""

    async def counts(report: bytes) -> bool:
        del report
        return replay.now not in passed

    return Rewinder(replay, END), Breakpoints(replay.arm, counts)


def go_back(replay: FakeReplay, passed: Iterable[int] = ()) -> Stop | None:
    found, points = rewinder(replay, passed)
    return asyncio.run(found.go_back(points, asyncio.Event()))


@pytest.mark.parametrize("last", [END - 5, END - FIRST - 5, 2_000_000, BEGIN + 1, BEGIN])
def test_the_last_hit_before_is_found_however_far_it_is(last: int) -> None:
    replay = FakeReplay(breaks=[BEGIN, min(last, BEGIN + 1), last, END])
    replay.now = END
    found = go_back(replay)
    assert found == Stop(last, BREAK)
    assert replay.now == last
    assert not replay.set


def test_again_and_again_until_the_beginning() -> None:
    replay = FakeReplay(breaks=[5000, 6000])
    replay.now = END
    assert [go_back(replay) and replay.now for _ in range(3)] == [6000, 5000, None]
    assert replay.now == BEGIN


def test_backwards_a_write_is_stood_behind() -> None:
    """GDB makes a step back, compares the values, and goes on if they are equal."""
    replay = FakeReplay(writes=[4000, 7000])
    replay.now = END
    assert go_back(replay) == Stop(7000, WATCH)
    assert replay.now == 7001
    replay.now -= 1
    assert go_back(replay) == Stop(4000, WATCH)


def test_the_last_instruction_of_all_may_be_the_write() -> None:
    replay = FakeReplay(writes=[END - 1])
    replay.now = END
    assert go_back(replay) == Stop(END - 1, WATCH)


def test_hits_that_do_not_count_are_passed() -> None:
    replay = FakeReplay(breaks=[5000, 6000, 7000])
    replay.now = END
    assert go_back(replay, passed=[6000, 7000]) == Stop(5000, BREAK)


@pytest.mark.parametrize("hole", [range(0), range(END - 300_000, END)])
def test_a_function_that_is_called_all_the_time_costs_few_stops(hole: range) -> None:
    """What is left out in the middle is searched if nothing comes after it."""
    breaks = [place for place in range(END - FIRST, END, 100) if place not in hole]
    replay = FakeReplay(breaks=breaks)
    replay.now = END
    assert go_back(replay) == Stop(breaks[-1], BREAK)
    assert replay.stops < 12 * MANY


def test_forwards_a_write_is_stood_before() -> None:
    """GDB makes a step, and compares the values."""
    replay = FakeReplay(writes=[5000, 5001])
    found, points = rewinder(replay)
    assert asyncio.run(found.go_on(points, asyncio.Event())) == Stop(5000, WATCH)
    assert replay.now == 5000
    assert not replay.set


def test_forwards_to_the_next_hit_and_to_the_end() -> None:
    replay = FakeReplay(breaks=[BEGIN, 5000])
    found, points = rewinder(replay)
    assert asyncio.run(found.go_on(points, asyncio.Event())) == Stop(5000, BREAK)
    assert asyncio.run(found.go_on(points, asyncio.Event())) is None
    assert replay.now == END
    assert asyncio.run(found.go_on(points, asyncio.Event())) is None
    assert asyncio.run(found.step()) is None


def test_one_instruction_at_a_time() -> None:
    replay = FakeReplay()
    replay.now = BEGIN + 1
    found, _ = rewinder(replay)
    assert asyncio.run(found.step_back(asyncio.Event())) == Stop(BEGIN)
    assert asyncio.run(found.step_back(asyncio.Event())) is None
    assert asyncio.run(found.step()) == Stop(BEGIN + 1)


def test_who_does_not_want_to_wait_stands_where_the_search_is() -> None:
    replay = FakeReplay(breaks=range(END - 1000, END, 10))
    replay.now = END
    wish = asyncio.Event()
    wish.set()
    one, points = rewinder(replay)
    found = asyncio.run(one.go_back(points, wish))
    assert found
    assert found.wished
    assert not replay.set


@pytest.mark.parametrize("interrupted", [END - FIRST, END - 600])
def test_a_replay_on_its_way_is_stopped(interrupted: int) -> None:
    """To where the search begins, or from there to what it has found."""
    replay = FakeReplay(breaks=[END - 600])
    replay.now, replay.interrupted = END, interrupted
    one, points = rewinder(replay)
    found = asyncio.run(one.go_back(points, asyncio.Event()))
    assert found == Stop(interrupted - 1, wished=True)
    assert replay.now == interrupted - 1
    assert not replay.set


def test_a_step_back_is_stopped_on_its_way() -> None:
    replay = FakeReplay()
    replay.now, replay.interrupted = END, END - 1
    one, _ = rewinder(replay)
    assert asyncio.run(one.step_back(asyncio.Event())) == Stop(END - 2, wished=True)


class FakeControl:
    """QMP of a machine that has executed so many instructions."""

    def __init__(self, executed: int) -> None:
        self.executed = executed

    async def execute(self, command: str) -> dict[str, int]:
        assert command == "query-replay"
        return {"icount": self.executed}


def test_all_that_is_written_into_a_machine_is_remembered_where_it_stands() -> None:
    """Also whether addresses were physical. Reading changes nothing."""
    changes = Changes()
    changes.window(8, b"order")
    for packet, physically in ((b"m10,4", False), (b"M20,1:ff", True), (b"P1=00", False)):
        changes.packet(packet, physically=physically)
    asyncio.run(changes.settle(FakeControl(77)))  # type: ignore[arg-type]
    asyncio.run(changes.settle(FakeControl(78)))  # type: ignore[arg-type]
    assert len(changes.made) == 1
    made = changes.made[0]
    assert made.at == 77
    assert made.packets == ((True, b"M20,1:ff"), (False, b"P1=00"))
    assert made.window == ((8, b"order"),)
    changes.packet(b"M20,1:00", physically=False)
    changes.clear()
    assert changes.made == []
