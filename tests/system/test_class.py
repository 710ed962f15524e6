"""A whole class in real Chromium: most work through their lesson, and some do not behave.

The class has four seats, or as many as ``LAB_TEST_SEATS`` says: twenty take minutes of all
processors.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence

import pytest

from system.browser import chromium
from system.participant import STATE, Participant, opens
from system.serving import Class, begin, stop
from system.world import World

#: The first three seats misbehave.
SEATS = max(4, int(os.environ.get("LAB_TEST_SEATS", "4")))
pytestmark = pytest.mark.usefixtures("chromium_is_there")
START = "vTaskStartScheduler();"
FLOOD = 'for (;;) printk("\\033[31mflood flood flood\\n");'
HOSTILE = "<img src=x onerror=document.title='owned'><script>alert(1)</script>"


def test_a_class(world: World) -> None:
    """One seat floods its console, one crashes its dom0, one types scripts and escape sequences.
    The server is killed and comes back. All others finish their lesson, and those three can begin
    again."""

    async def go() -> None:
        async with chromium() as browser:
            everybody = [await opens(browser, link) for link in one.seats]
            teacher = await browser.tab(one.teacher)
            await teacher.click("[data-all=up]")
            await asyncio.gather(*(person.runs() for person in everybody))
            flooding, killing, typing, *working = everybody
            await asyncio.gather(
                floods(flooding), kills(killing), types(typing),
                *(work(person, f"seat {number}") for number, person in enumerate(working)),
            )  # fmt: skip
            await restart(everybody)
            await asyncio.gather(*(person.runs() for person in working))
            await asyncio.gather(
                begins_again(flooding), begins_again(killing),
                *(person.passes(4) for person in working),
            )  # fmt: skip
            done = f"document.querySelectorAll('#seats tbody tr').length === {SEATS}"
            await teacher.until(done)
            for tab in (teacher, *(person.tab for person in everybody)):
                assert "owned" not in str(await tab.value("document.title"))
                assert await tab.value("document.querySelectorAll('img').length") == 0
                assert [one for one in tab.errors if "WebSocket" not in one] == []

    async def restart(everybody: Sequence[Participant]) -> None:
        """The server is killed. Nobody touches their page, and it goes on."""
        os.kill(one.server.process.pid, signal.SIGKILL)
        for person in everybody:
            await person.tab.until(f"{STATE} === 'connecting'")
        words = ("--lesson", "first-guest", "--port", one.port)
        again.append(await asyncio.to_thread(begin, world, "hello", *words, again=True))
        for person in everybody:
            await person.tab.until(f"{STATE} !== 'connecting'")

    again: list[Class] = []
    one = begin(world, "hello", "--seats", str(SEATS), "--lesson", "first-guest")
    try:
        asyncio.run(go())
    finally:
        one.server.process.kill()
        one.server.end()
        stop((again or [begin(world, "hello", again=True)])[0])


async def floods(person: Participant) -> None:
    """The guest prints without end."""
    await person.changes(START, FLOOD)
    await person.tab.click("#build")
    await person.sees("hello", "flood flood")


async def kills(person: Participant) -> None:
    """dom0 crashes. The page says so."""
    await person.has_a_shell()
    await person.types("dom0", "echo c > /proc/sysrq-trigger\n")
    await person.tab.until("!document.getElementById('problem').hidden")


async def types(person: Participant) -> None:
    """Scripts and escape sequences are only text, for the teacher too."""
    await person.types("hello", f"{HOSTILE}\n")
    await person.sees("hello", "you typed: <img")
    await person.has_a_shell()
    await person.types("dom0", "printf '\\033]0;owned\\007\\033[c\\033[6n'; echo end-of-$((1))\n")
    await person.sees("dom0", "end-of-1")


async def work(person: Participant, who: str) -> None:
    """Talk to the guest, change it, and see the new one."""
    await person.types("hello", "how are you\n")
    await person.sees("hello", "you typed: how are you")
    await person.changes("hello from FreeRTOS", f"hello from {who}")
    await person.tab.click("#build")
    await person.sees("hello", f"task 1: hello from {who}")


async def begins_again(person: Participant) -> None:
    await person.tab.click("#reset")
    await person.tab.until(f"{STATE} !== 'running'")
    await person.runs()
