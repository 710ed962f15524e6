"""A page is told at once when it was quiet, and not more often than it needs."""

from __future__ import annotations

import asyncio

from lab.web.pace import Pace


def test_the_first_news_are_told_at_once() -> None:
    """What comes after a quiet time does not wait: the turn before it is long over."""

    async def go() -> None:
        pace = Pace(0.0)
        pace.begin()
        pace.wake()
        await pace.next(1e6)

    asyncio.run(go())


def test_news_without_end_are_told_in_turns() -> None:
    """Between the beginnings of two turns is at least that time, however often there are news."""

    async def go() -> None:
        pace, loop = Pace(0.05), asyncio.get_running_loop()
        pace.begin()
        began = loop.time()
        for _ in range(4):
            pace.wake()
            await pace.next(1e6)
            pace.begin()
        assert loop.time() - began >= 4 * 0.049

    asyncio.run(go())


def test_a_page_without_news_has_its_turn_too() -> None:
    """A console that prints too fast may be shown again after some time."""
    asyncio.run(Pace(0.0).next(0.01))
