"""A participant in real Chromium, with keyboard and mouse: from the link to a passed lesson."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from system.browser import chromium
from system.participant import STATE, alone, opens
from system.serving import Class, begin, stop
from system.world import World

#: On a slow machine the page has the guest's console after all others.
GUEST_COMES_LATER = (
    "(() => { const late = consoles.all.get('hello');"
    " consoles.all.delete('hello'); consoles.all.set('hello', late); })()"
)
#: The names of the tabs, in their order.
TABS = "[...document.querySelectorAll('#tabs button')].map((one) => one.innerText).join()"
#: A message of the server comes.
NEWS = "show(lesson.last)"

pytestmark = pytest.mark.usefixtures("chromium_is_there")


@pytest.fixture
def served(world: World) -> Iterator[Class]:
    """A class with the lesson that ships. Its labs end with it."""
    one = begin(world, "hello", "--seats", "2", "--lesson", "first-guest")
    try:
        yield one
    finally:
        stop(one)


def test_a_participant_works_through_a_lesson(served: Class) -> None:
    """Start, type to guest and dom0, change the program, see the compiler's message at its line,
    mend it, see the new guest, pass the check."""

    async def go() -> None:
        async with alone(served.seats[0]) as person:
            tab = person.tab
            await person.types("hello", "how are you\n")
            await person.sees("hello", "you typed: how are you")
            await tab.click("#tab-dom0", meanwhile=NEWS)
            assert await tab.value("consoles.shown") == "dom0"
            await tab.click("#tab-hello")
            await tab.value(GUEST_COMES_LATER)
            await tab.press("ArrowLeft", "Control", "Shift")
            await tab.type("\n")
            await person.sees("dom0", "/root #")
            await tab.type("xl list\n")
            await person.sees("dom0", "Domain-0")
            await person.changes("hello from FreeRTOS", "hello from a class")
            await person.changes("return 0;", "return oops;")
            await tab.press("Enter", "Control")
            await tab.until("document.querySelector('#problems')?.innerText.includes('oops')")
            assert await tab.value("document.querySelectorAll('#source .wrong').length") == 1
            await person.changes("return oops;", "return 0;")
            await tab.click("#build")
            await person.sees("hello", "task 1: hello from a class")
            await person.passes(4)
            await tab.looks(420, 900, dark=True)
            assert await tab.value("document.documentElement.scrollWidth") <= 420
            assert tab.errors == []

    asyncio.run(go())


def test_the_debugger_has_a_terminal_before_the_lab_ran(served: Class) -> None:
    """Of a check that failed. The consoles come before it when the lab runs."""

    async def go() -> None:
        async with chromium() as browser:
            person = await opens(browser, served.seats[1])
            await person.tab.until(f"{STATE} === 'off'")
            await person.tab.value("gdb.begin('check')")
            assert await person.tab.value("consoles.shown") == "GDB"
            await person.starts()
            tabs = (
                "[...document.querySelectorAll('#tabs button')].map((one) => one.innerText).join()"
            )
            await person.tab.until(f"{tabs} === 'xen,dom0,hello,GDB'")
            assert person.tab.errors == []

    asyncio.run(go())


def test_what_a_guest_prints_is_only_text(served: Class) -> None:
    """Script tags and escape sequences in a console change nothing on the page."""

    async def go() -> None:
        async with chromium() as browser, alone(served.seats[1]) as person:
            wrong = "<img src=x onerror=document.title='owned'><script>alert(1)</script>"
            await person.types("hello", f"{wrong}\n")
            await person.sees("hello", "you typed: <img")
            await person.has_a_shell()
            await person.tab.type("printf '\\033]0;owned\\007\\033[c\\033[6n'; echo end-of-it\n")
            await person.sees("dom0", "end-of-it")
            teacher = await browser.tab(served.teacher)
            await teacher.until("document.querySelectorAll('#seats tbody tr').length === 2")
            for page in (person.tab, teacher):
                assert "owned" not in str(await page.value("document.title"))
                assert await page.value("document.querySelectorAll('img').length") == 0
                assert page.errors == []

    asyncio.run(go())


def test_a_page_comes_back_with_its_server(world: World) -> None:
    """The server is killed and started again; nobody touches the page, and it goes on."""

    async def go() -> None:
        async with alone(one.seats[0]) as person:
            os.kill(one.server.process.pid, signal.SIGKILL)
            await person.tab.until(f"{STATE} === 'connecting'")
            await person.tab.value("link.send({type: 'do', verb: 'up'})")
            said = await person.tab.value("document.getElementById('notice').innerText")
            assert said == "not connected: nothing was done"
            words = ("two-guests", "--port", one.port)
            again.append(await asyncio.to_thread(begin, world, *words, again=True))
            await person.runs()
            await person.sees("hello2", "alive at tick 3")

    again: list[Class] = []
    one = begin(world, "two-guests")
    try:
        asyncio.run(go())
    finally:
        one.server.end()
        stop(again[0])
