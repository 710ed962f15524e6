"""GDB on the page of a seat: in its lab, before a failed check, and nowhere else."""

from __future__ import annotations

import asyncio
import shlex

from aiohttp import ClientSession

from lab.web.debugger import NAME
from lab.web.lesson import FOLDER
from system.serving import Page, begin, opened, stop
from system.world import ROOT, World

PROMPT = b"(gdb) "
MAIN = "guests/hello/main.c"


def test_the_debugger_of_a_seat(world: World) -> None:
    """It shows the lab's tasks. What it can run sees nothing of this machine, can write nothing and
    reach no network; the lab goes on when it leaves. In the run of a failed check, of a seat whose
    own lab never ran, it goes back to who wrote a word, as the lesson says."""

    async def go() -> None:
        async with ClientSession() as session:
            page = await opened(session, one.seats[0])
            await page.do("up")
            await begun(page, "lab")
            assert b"heartbeat" in await ask(page, "lab tasks brief")
            secret = world.folder / "secret"
            secret.write_text("hidden")
            hidden = shlex.join([str(secret), str(ROOT / "pyproject.toml"), "/etc/hostname"])
            said = await ask(page, f"shell cat {hidden}")
            assert b"hidden" not in said
            assert said.count(b"No such file") == 3, said
            said = await ask(page, f"python open({str(secret)!r})")
            assert b"FileNotFoundError" in said
            said = await ask(page, "shell touch /usr/x /dev/shm/x lab; cat /proc/net/dev | wc -l")
            assert said.count(b"Read-only file system") == 3, said
            assert b"\r\n3\r\n" in said  # two lines of headings, and lo
            said = await ask(page, "shell dd if=/dev/zero of=/tmp/big bs=1M count=100")
            assert b"No space left" in said or b"too large" in said
            await ended(page)
            size = len(page.consoles["hello"])
            await page.until(lambda one: b"alive" in one.consoles["hello"][size:])
            await page.do("down")
            await goes_back(session, await opened(session, one.seats[1]), one.seats[1])

    one = begin(world, "hello", "--lesson", "crash", "--seats", "2")
    try:
        asyncio.run(go())
    finally:
        stop(one)


async def goes_back(session: ClientSession, page: Page, seat: str) -> None:
    async with session.get(f"{seat}/files") as answer:
        (text,) = (file["text"] for file in await answer.json() if file["name"] == MAIN)
    begin, end = text.index("static void heartbeat"), text.index("static void answer")
    wrong = text[:begin] + from_lesson() + text[end:]
    await put(session, seat, wrong)
    await page.do("check", step="who-wrote-it")
    assert not page.seat["checked"]["passed"]
    await begun(page, "check")
    assert b"4000" in await ask(page, "print heart.pause")
    await ask(page, "watch -location heart.pause")
    said = await ask(page, "reverse-continue")
    assert b"Old value = 4000" in said
    assert b"heartbeat" in said
    await ended(page)
    await put(session, seat, wrong.replace("% 5", "% 4"))
    await page.do("check", step="who-wrote-it")
    assert page.seat["checked"]["passed"], page.seat["checked"]["said"]


def from_lesson() -> str:
    """The code that the lesson asks for."""
    step = (FOLDER / "crash.md").read_text().split("## Who wrote it?")[1]
    code = step[step.index("    static struct") : step.index("The heart must beat")]
    return "".join(line[4:] or "\n" for line in code.splitlines(keepends=True))


async def put(session: ClientSession, seat: str, text: str) -> None:
    about = {"name": MAIN, "text": text}
    async with session.put(f"{seat}/files", json=about) as answer:
        assert answer.status == 200, await answer.text()


async def begun(page: Page, of: str) -> None:
    """Open the debugger, and wait for its prompt."""
    page.consoles[NAME] = b""
    await page.socket.send_json({"type": "do", "verb": "debug", "of": of})
    await page.until(lambda one: bool(one.seat["debugging"]))
    await page.until(lambda one: one.consoles[NAME].endswith(PROMPT))


async def ask(page: Page, words: str) -> bytes:
    """Type a command of GDB's; what it says until its next prompt."""
    before = len(page.consoles[NAME]) + len(words)
    await page.type(NAME, f"{words}\r")
    await page.until(lambda one: one.consoles[NAME][before:].endswith(PROMPT))
    return page.consoles[NAME][before:]


async def ended(page: Page) -> None:
    await page.type(NAME, "quit\r")
    await page.until(lambda one: not one.seat["debugging"])
    await page.until(lambda one: b"the debugger has ended" in one.consoles[NAME])
