"""Measures the workshop's page: how soon a line of a console reaches the pages that show it, what
that costs the server, and how soon labs start.

The server and its connections are the real ones. First the labs are not: lines are written into
the logs of runs, as QEMU does it, so that only the server is measured.
"""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.api import Context
from lab.bench.class_server import ClassServer, Cost, Page, pages, served
from lab.bench.figure import Figure, at_most
from lab.util import signals
from lab.util.deadline import Deadline

#: The lab of the class, and a guest of it.
LAB = GUEST = "hello"
#: Seats that are watched, seconds that each part takes, seconds between two lines of a console.
SEATS, SECONDS, EVERY = 20, 5.0, 0.1
#: Seconds until every line must have arrived.
LAST = 30.0
#: Bytes a second of the console that floods, and how many are written at a time.
FLOOD, PIECE = 20_000_000, 1_000_000
#: The most milliseconds for 99 of 100 lines, quiet and while one console floods.
QUIET, LOUD = 50.0, 100.0
#: The most megabytes of the server, and seconds from the click to a guest's first line.
MEMORY, CLICK = 100.0, 1.0
#: How often a lab is started for that.
CLICKS = 3


@dataclass(frozen=True)
class Watched:
    """Milliseconds from each line to its page, sorted, and what the server used meanwhile."""

    delays: Sequence[float]
    lines: int
    cost: Cost
    seconds: float

    @property
    def late(self) -> float:
        """99 of 100 lines were not later than this."""
        return self.delays[int(len(self.delays) * 0.99)]

    @property
    def share(self) -> float:
        """The share of one processor that the server used, in percent."""
        return 100 * self.cost.seconds / self.seconds


def measure(context: Context, say: Callable[[str], None]) -> list[Figure]:
    """Lines of 20 consoles, each watched by one page; then the same while one more floods; then
    real labs, one and 20 at once.

    Raises:
        LabError: the server does not begin, or a lab does not come up.
    """
    say("the server of a class")
    with served(context, LAB, SEATS + 1) as server:
        say(f"{SEATS} seats that print")
        quiet = signals.run(_watched(server, flood=False))
        say(f"{SEATS} seats that print, and one that floods")
        loud = signals.run(_watched(server, flood=True))
        most = server.cost().memory
    say("labs from click to first line")
    with served(context, LAB, SEATS) as server:
        clicks = signals.run(_clicked(server))
        say(f"{SEATS} labs at once")
        crowd, answered = signals.run(_crowd(server))
    return [
        Figure(f"a line to its page, {SEATS} seats: median", statistics.median(quiet.delays), "ms"),
        at_most("a line to its page: 99 of 100", quiet.late, "ms", QUIET),
        at_most("the same while one floods", loud.late, "ms", LOUD),
        _lost(quiet, loud),
        Figure("the server's processor time for a line", _each(quiet), "ms"),
        Figure("the server while one floods, of a processor", loud.share, "%"),
        at_most("the server's memory", most / 1e6, "MB", MEMORY),
        at_most("a seat from click to first line", statistics.median(clicks), "s", CLICK),
        Figure(f"{SEATS} seats from click to the last first line", crowd, "s"),
        Figure(f"{SEATS} seats that answer", answered, "", f"= {SEATS}", answered == SEATS),
    ]


def _each(watched: Watched) -> float:
    return 1000 * watched.cost.seconds / watched.lines


def _lost(*watched: Watched) -> Figure:
    lost = sum(one.lines - len(one.delays) for one in watched)
    return Figure("lines that no page got", lost, "", "= 0", lost == 0)


async def _watched(server: ClassServer, *, flood: bool) -> Watched:
    """Write lines for :data:`SECONDS`, and wait until the pages have all of them."""
    logs = [server.log(number) for number in range(1, SEATS + 2)]
    async with pages(server.seats) as found:
        await asyncio.gather(
            *(page.until(_shows(log)) for page, log in zip(found, logs, strict=True))
        )
        before, clock, over = server.cost(), Deadline(LAST), threading.Event()
        if flood:
            threading.Thread(target=_flood, args=(logs[-1], over), daemon=True).start()
        try:
            lines = await _write(logs[:SEATS])
            seconds, cost = clock.elapsed(), server.cost().since(before)
            while sum(len(page.delays) for page in found) < lines and not clock.passed():
                await asyncio.sleep(EVERY)
        finally:
            over.set()
    delays = sorted(1000 * delay for page in found for delay in page.delays)
    return Watched(delays, lines, cost, seconds)


def _shows(log: Path) -> Callable[[Page], bool]:
    """Whether a page shows the run of this log."""
    return lambda page: page.seat.get("run") == log.parents[1].name


async def _write(logs: Sequence[Path]) -> int:
    """Write a line to each log in turn, at a steady rate. Returns how many."""
    deadline, lines = Deadline(SECONDS), 0
    while not deadline.passed():
        for log in logs:
            with log.open("a") as stream:
                stream.write(f"line {time.monotonic()} end\n")
            lines += 1
            await asyncio.sleep(EVERY / len(logs))
    return lines


def _flood(log: Path, over: threading.Event) -> None:
    """Write without end, at a steady rate."""
    text = b"flood flood flood flood\n" * (PIECE // 24)
    while not over.wait(PIECE / FLOOD):
        with log.open("ab") as stream:
            stream.write(text)


async def _clicked(server: ClassServer) -> list[float]:
    """Seconds from the click on Start to the guest's first line, in one seat after the other."""
    found = []
    async with pages(server.seats[: CLICKS + 1]) as some:
        for page in some:
            await page.until(lambda one: bool(one.seat))
            found.append(await _start(page))
    return found[1:]  # the first one may have to make the template


async def _start(page: Page) -> float:
    clock = Deadline(0)
    await page.socket.send_json({"type": "do", "verb": "up"})
    await page.until(lambda one: GUEST in one.shown)
    return clock.elapsed()


async def _crowd(server: ClassServer) -> tuple[float, int]:
    """Start the labs of all seats. The seconds until the last first line, and how many answer."""
    async with pages(server.seats) as found:
        await asyncio.gather(*(page.until(lambda one: bool(one.seat)) for page in found))
        clock = Deadline(0)
        waiting = (page for page in found if page.seat["state"] != "running")
        await asyncio.gather(*(_start(page) for page in waiting))
        seconds = clock.elapsed()
        answers = await asyncio.gather(*(_answers(page) for page in found))
    return seconds, sum(answers)


async def _answers(page: Page) -> bool:
    """Whether the guest says what was typed to it."""
    await page.until(lambda one: one.seat["state"] == "running" and not one.seat["busy"])
    await page.socket.send_json({"type": "type", "on": GUEST, "text": "anybody\r"})
    await page.until(lambda one: b"you typed: anybody" in one.shown.get(GUEST, b""))
    return True
