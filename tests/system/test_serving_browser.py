"""A participant in real Chromium, with keyboard and mouse: from the link to a passed lesson."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from lab.errors import ToolchainError
from lab.toolchain import provide
from system.browser import Browser, Tab, chromium
from system.serving import Class, begin, stop
from system.world import World

STATE = "document.getElementById('state').textContent"


@pytest.fixture(autouse=True, scope="module")
def chromium_is_there() -> None:
    """Have Chromium on this machine. If none can be had, the tests are skipped."""
    try:
        provide.ensure({"chromium": "chromium"}, lambda _: None)
    except ToolchainError as error:
        pytest.skip(f"there is no Chromium, and none can be had: {error.message}")


@pytest.fixture
def served(world: World) -> Iterator[Class]:
    """A class with the lesson that ships. Its labs end with it."""
    one = begin(world, "hello", "--seats", "2", "--lesson", "first-guest")
    try:
        yield one
    finally:
        stop(one)


def screen(console: str) -> str:
    """What a console shows, as an expression."""
    return f"document.querySelector('#screen-{console}').textContent"


async def shows(tab: Tab, console: str, text: str) -> None:
    await tab.until(f"{screen(console)}.includes({text!r})")


async def opens(browser: Browser, link: str) -> Tab:
    tab = await browser.tab(link)
    await tab.until(f"{STATE} !== 'connecting'")
    return tab


def test_a_participant_works_through_a_lesson(served: Class) -> None:
    """Start, type to guest and dom0, change the program, see the compiler's message at its line,
    mend it, see the new guest, pass the check."""

    async def go() -> None:
        async with chromium() as browser:
            tab = await opens(browser, served.seats[0])
            await tab.click("#up")
            await tab.until(f"{STATE} === 'running'")
            await tab.click("#screen-hello")
            await tab.type("how are you\n")
            await shows(tab, "hello", "you typed: how are you")
            await tab.press("ArrowLeft", "Control", "Shift")
            await tab.type("\n")
            await shows(tab, "dom0", "/root #")
            await tab.type("xl list\n")
            await shows(tab, "dom0", "Domain-0")
            await change(tab, "hello from FreeRTOS", "hello from a class")
            await change(tab, "return 0;", "return oops;")
            await tab.press("Enter", "Control")
            await tab.until("document.querySelector('#problems')?.innerText.includes('oops')")
            assert await tab.value("document.querySelectorAll('#source .wrong').length") == 1
            await change(tab, "return oops;", "return 0;")
            await tab.click("#build")
            await shows(tab, "hello", "task 1: hello from a class")
            await tab.click(".step:nth-of-type(4) button")
            await tab.until("document.querySelectorAll('.step')[3].dataset.how === 'passed'")
            await tab.looks(420, 900, dark=True)
            assert await tab.value("document.documentElement.scrollWidth") <= 420
            assert tab.errors == []

    asyncio.run(go())


async def change(tab: Tab, old: str, new: str) -> None:
    """Change a text of the program, as a person does who searches, selects and types."""
    await tab.click("#files button")
    await tab.until("document.querySelector('.CodeMirror')?.CodeMirror")
    await tab.value(
        "(() => { const one = document.querySelector('.CodeMirror').CodeMirror;"
        f" const at = one.getValue().indexOf({old!r});"
        f" one.setSelection(one.posFromIndex(at), one.posFromIndex(at + {len(old)}));"
        " one.focus(); })()"
    )
    await tab.type(new)
    await tab.until(
        f"document.querySelector('.CodeMirror').CodeMirror.getValue().includes({new!r})"
    )


def test_what_a_guest_prints_is_only_text(served: Class) -> None:
    """Script tags and escape sequences in a console change nothing on the page."""

    async def go() -> None:
        async with chromium() as browser:
            tab = await opens(browser, served.seats[1])
            await tab.click("#up")
            await tab.until(f"{STATE} === 'running'")
            await tab.click("#screen-hello")
            await tab.type("<img src=x onerror=document.title='owned'><script>alert(1)</script>\n")
            await shows(tab, "hello", "you typed: <img")
            await tab.press("ArrowLeft", "Control", "Shift")
            await tab.type("\n")
            await shows(tab, "dom0", "/root #")
            await tab.type("printf '\\033]0;owned\\007\\033[c\\033[6n'; echo end-of-it\n")
            await shows(tab, "dom0", "end-of-it")
            teacher = await browser.tab(served.teacher)
            await teacher.until("document.querySelectorAll('#seats tbody tr').length === 2")
            for page in (tab, teacher):
                assert "owned" not in str(await page.value("document.title"))
                assert await page.value("document.querySelectorAll('img').length") == 0
                assert page.errors == []

    asyncio.run(go())


def test_a_page_comes_back_with_its_server(world: World) -> None:
    """The server is killed and started again; nobody touches the page, and it goes on."""

    async def go() -> None:
        async with chromium() as browser:
            tab = await opens(browser, one.seats[0])
            await tab.click("#up")
            await tab.until(f"{STATE} === 'running'")
            os.kill(one.server.process.pid, signal.SIGKILL)
            await tab.until(f"{STATE} === 'connecting'")
            again.append(await asyncio.to_thread(begin, world, "two-guests", "--port", one.port))
            await tab.until(f"{STATE} === 'running'")
            await shows(tab, "hello2", "alive at tick 3")

    again: list[Class] = []
    one = begin(world, "two-guests")
    try:
        asyncio.run(go())
    finally:
        one.server.end()
        stop(again[0])
