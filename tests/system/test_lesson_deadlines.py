"""The lesson about deadlines: its last check fails before the cure and passes after it."""

from __future__ import annotations

import asyncio

from aiohttp import ClientSession

from system.serving import begin, opened, stop
from system.world import World

CURED = {
    "scheduler: credit2": "scheduler: rtds",
    "trace: true": "trace: true\n    scheduler: {period: 2ms, budget: 600us}",
    "freertos: guests/noisy": "freertos: guests/noisy\n    scheduler: {period: 10ms, budget: 2ms}",
}


def test_a_promise_cures_missed_deadlines(world: World) -> None:
    """Under credit2 jobs are late, and the lesson sees it. A budget under RTDS is the cure. The
    check's run has a report, with the timeline that shows why."""

    async def go() -> None:
        async with ClientSession() as session:
            seat = one.seats[0]
            async with session.get(f"{seat}/lesson") as answer:
                steps = [step["id"] for step in (await answer.json())["steps"]]
            async with session.get(f"{seat}/files") as answer:
                (text,) = (one["text"] for one in await answer.json() if one["name"] == "labs.yaml")
            page = await opened(session, seat)
            for step, passed in ((steps[0], True), (steps[3], False)):
                await page.do("check", step=step)
                assert page.seat["checked"]["passed"] is passed, page.seat["checked"]["said"]
            assert "sched=rtds" in page.seat["checked"]["said"]
            for old, new in CURED.items():
                assert old in text
                text = text.replace(old, new)
            await put(session, seat, text)
            await page.do("check", step=steps[3])
            assert page.seat["checked"]["passed"], page.seat["checked"]["said"]
            async with session.get(f"{seat}/report", params={"of": "check"}) as answer:
                assert answer.status == 200, await answer.text()
                assert "control/fast" in await answer.text()

    one = begin(world, "deadlines", "--lesson", "deadlines")
    try:
        asyncio.run(go())
    finally:
        stop(one)


async def put(session: ClientSession, seat: str, text: str) -> None:
    about = {"name": "labs.yaml", "text": text}
    async with session.put(f"{seat}/files", json=about) as answer:
        assert answer.status == 200, await answer.text()
