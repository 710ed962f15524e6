"""Work waits for its turn in order, and hears how much is before it."""

from __future__ import annotations

import asyncio

from lab.web.turns import Turns


def test_who_waits_is_told_its_place() -> None:
    """The first has its turn at once; those who come later wait in order, and one gives up."""

    async def go() -> None:
        turns, told, ends = Turns(1), dict[int, list[int | None]](), asyncio.Event()
        order: list[int] = []

        async def work(number: int) -> None:
            async with turns.turn(told.setdefault(number, []).append):
                order.append(number)
                await ends.wait()

        works = []
        for number in range(4):
            works.append(asyncio.ensure_future(work(number)))
            await asyncio.sleep(0)
        assert told == {0: [], 1: [0, 0, 0], 2: [1, 1], 3: [2]}
        works[1].cancel()
        await asyncio.gather(works[1], return_exceptions=True)
        assert (told[1][-1], told[2][-1], told[3][-1]) == (None, 0, 1)
        ends.set()
        await asyncio.gather(works[0], works[2], works[3])
        assert order == [0, 2, 3]
        assert (told[2][-1], told[3][-1]) == (None, None)

    asyncio.run(go())
