"""What a participant does on the page of a seat, with keyboard and mouse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from system.browser import Browser, Tab, chromium

STATE = "document.getElementById('state').textContent"
MIRROR = "document.querySelector('.CodeMirror')?.CodeMirror"

#: Whether the terminal of a console has a text, on its screen or above it.
SHOWN = (
    "(() => { const buffer = consoles.all.get(%r)?.terminal.buffer.active; if (!buffer) return;"
    " for (let at = 0; at < buffer.length; at++)"
    " if (buffer.getLine(at)?.translateToString().includes(%r)) return true; })()"
)


class Participant:
    """A person at the page of a seat."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab

    async def starts(self) -> None:
        """Press Start, and wait until the lab runs."""
        await self.tab.click("#up")
        await self.runs()

    async def runs(self) -> None:
        await self.tab.until(f"{STATE} === 'running'")

    async def types(self, console: str, text: str) -> None:
        """Click into a console, and type."""
        await self.tab.click(f"#tab-{console}")
        await self.tab.click(f"#screen-{console}")
        await self.tab.type(text)

    async def sees(self, console: str, text: str) -> None:
        """Wait until a console has shown a text. On a slow machine it may have scrolled away."""
        await self.tab.until(SHOWN % (console, text))

    async def has_a_shell(self) -> None:
        """dom0 has its prompt, in a console that is free of what was typed before."""
        await self.types("dom0", "\n")
        await self.sees("dom0", "/root #")

    async def changes(self, old: str, new: str) -> None:
        """Change a text of the program, as a person does who searches, selects and types."""
        await self.tab.click("#files button")
        await self.tab.until(f"{MIRROR}?.getValue().includes({old!r})")
        await self.tab.value(
            f"(() => {{ const one = {MIRROR}; const at = one.getValue().indexOf({old!r});"
            f" one.setSelection(one.posFromIndex(at), one.posFromIndex(at + {len(old)}));"
            " one.focus(); })()"
        )
        await self.tab.type(new)
        await self.tab.until(f"{MIRROR}.getValue().includes({new!r})")

    async def passes(self, step: int) -> None:
        """Press Check at a step of the lesson, counted from 1, and wait for its tick."""
        place = f"document.querySelectorAll('.step')[{step - 1}]"
        await self.tab.click(f".step:nth-of-type({step}) button")
        await self.tab.until(f"{place}.querySelector('pre').dataset.how || {place}.dataset.how")
        how = await self.tab.value(f"{place}.dataset.how")
        assert how == "passed", await self.tab.value(f"{place}.innerText")


async def opens(browser: Browser, link: str) -> Participant:
    """Open the link of a seat."""
    tab = await browser.tab(link)
    await tab.until(f"{STATE} !== 'connecting'")
    return Participant(tab)


@asynccontextmanager
async def alone(link: str) -> AsyncIterator[Participant]:
    """One participant in a browser, whose lab runs."""
    async with chromium() as browser:
        one = await opens(browser, link)
        await one.starts()
        yield one
