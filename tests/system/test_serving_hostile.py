"""A class in which not everybody behaves: the others notice nothing."""

from __future__ import annotations

import asyncio

from aiohttp import ClientSession

from system.serving import Class, Page, begin, opened, stop
from system.world import World

FLOOD = 'for (;;) printk("\\033[31mflood flood flood flood\\n");'


def test_the_others_go_on(world: World) -> None:
    """One seat floods its console, one kills its dom0. The third works through its lab meanwhile.
    Those two can begin again."""

    async def go() -> None:
        async with ClientSession() as session:
            pages = [await opened(session, link) for link in one.seats]
            flooding, killing, working = pages
            await asyncio.gather(*(page.do("up") for page in (flooding, killing, working)))
            await asyncio.gather(flood(session, one, flooding), kill(killing), work(working))
            await asyncio.gather(flooding.do("reset"), killing.do("reset"))
            await killing.until(lambda page: page.seat["state"] == "running")
            await killing.sees("hello", b"hello from FreeRTOS")

    one = begin(world, "hello", "--seats", "3", "--lesson", "first-guest")
    try:
        asyncio.run(go())
    finally:
        stop(one)


async def flood(session: ClientSession, one: Class, page: Page) -> None:
    """The guest prints without end."""
    await write(session, one.seats[0], "vTaskStartScheduler();", FLOOD)
    await page.do("build", guest="hello")
    await page.sees("hello", b"flood flood")


async def kill(page: Page) -> None:
    """dom0 crashes. The page says so."""
    await page.type("dom0", "\r")
    await page.sees("dom0", b"/root #")
    await page.type("dom0", "echo c > /proc/sysrq-trigger\r")
    await page.until(lambda one: bool(one.seat["problem"]))


async def work(page: Page) -> None:
    """What the lesson asks for."""
    for number in range(3):
        await page.type("hello", f"word {number}\r")
        await page.sees("hello", b"you typed: word %d" % number)
    await page.do("check", step="start-your-lab")
    assert page.seat["checked"]["passed"], page.seat["checked"]["said"]


async def write(session: ClientSession, link: str, old: str, new: str) -> None:
    """Change the guest's program."""
    async with session.get(f"{link}/files") as answer:
        file = (await answer.json())[0]
    assert old in file["text"]
    changed = {"name": file["name"], "text": file["text"].replace(old, new)}
    async with session.put(f"{link}/files", json=changed) as answer:
        assert answer.status == 200
