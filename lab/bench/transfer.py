"""Measures how fast bytes get into dom0: through the window, and through the agent's messages.

The messages, the older way, are the baseline.
"""

from __future__ import annotations

import asyncio
import os
import statistics
from collections.abc import Awaitable, Callable

from lab.api import Context, lab, make_plan
from lab.api.context import attached
from lab.api.other_sessions import running
from lab.api.plans import intent
from lab.bench.figure import Figure, at_least
from lab.dom0 import connection
from lab.dom0.window import Window
from lab.machine.qemu_command import WINDOW_FILE
from lab.model import Clock
from lab.run.boot import boot
from lab.run.session import Session
from lab.run.start import Start, started
from lab.util.deadline import Deadline

#: Bytes through the window (a 64-bit kernel is as large), and through the messages (1.4 MB/s).
LARGE, SMALL = 33 << 20, 1 << 20
#: The window must be this many times as fast as the messages: 30 MB/s to 1.4 MB/s. A ratio is
#: checked, because the host's speed changes from minute to minute, and all rates with it.
WANTED = 21.5
FILE = "/tmp/bench"


def measure(context: Context, name: str, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Figures under both clocks. ``name``: a lab whose dom0 has nothing else to do.

    Raises:
        LabError: the lab did not come up, or a file could not be written in dom0.
    """
    say("files into dom0, host clock")
    with lab(name, context):
        session = attached(running(context, name))
        slow, fast = zip(*asyncio.run(_both_ways(session, rounds)), strict=True)
    say("files into dom0, virtual clock")
    still = _still(context, name, rounds)
    host, virtual, old = (statistics.median(each) for each in (fast, still, slow))
    size = f"{LARGE >> 20} MiB into dom0"
    return [
        Figure("1 MiB into dom0, the agent's messages", old, "MB/s"),
        Figure(f"{size}, host clock", host, "MB/s"),
        at_least(f"{size}, host clock, to the messages", host / old, "x", WANTED),
        Figure(f"{size}, virtual clock", virtual, "MB/s"),
        at_least(f"{size}, virtual clock, to the messages", virtual / old, "x", WANTED),
    ]


async def _both_ways(session: Session, rounds: int) -> list[tuple[float, float]]:
    """Rates (MB/s) through the messages and through the window, measured in turn."""
    window = Window(session.lab.path / WINDOW_FILE)
    async with connection.connected(session.lab.agent_socket, window=window) as dom0:
        return [
            (await _rate(dom0.write_in_messages, SMALL), await _rate(dom0.write_file, LARGE))
            for _ in range(rounds)
        ]


async def _rate(write: Callable[[str, bytes], Awaitable[None]], size: int) -> float:
    data = os.urandom(size)
    clock = Deadline(0)
    await write(FILE, data)
    return size / 1e6 / clock.elapsed()


def _still(context: Context, name: str, rounds: int) -> list[float]:
    """Rates (MB/s) under the virtual clock, which stands still while dom0 is sent something."""
    plan = make_plan(context, name, Clock.VIRTUAL, first=True)

    async def go(start: Start) -> list[float]:
        async with Session(start.lab, start.run) as session:
            await boot(session, start)
            async with session.dom0() as dom0:
                return [await _rate(dom0.write_file, LARGE) for _ in range(rounds)]

    with started([intent(context, plan, "bench", kept=False)]) as start:
        return asyncio.run(go(start))
