"""A class on a machine without network: serves it, takes a seat, has its first step checked.

``python -m system.class_without_network LAB LESSON`` in a network namespace prints which step
passed.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from aiohttp import ClientSession

from system.serving import begin, opened, stop
from system.world import World


async def _check(link: str) -> str:
    origin = link.partition("/s/")[0]
    async with ClientSession() as session:
        for address in (link, f"{origin}/assets/xterm.js", f"{origin}/assets/codemirror.js"):
            async with session.get(address) as answer:
                assert answer.status == 200, (address, answer.status)
        async with session.get(f"{link}/lesson") as answer:
            first = (await answer.json())["steps"][0]["id"]
        page = await opened(session, link)
        await page.do("check", step=first)
        assert page.seat["checked"]["passed"], page.seat["checked"]["said"]
        return f"{first}: passed"


def main(lab: str, lesson: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    nowhere = Path("/nonexistent")
    one = begin(World(Path.cwd(), nowhere, nowhere), lab, "--seats", "2", "--lesson", lesson)
    try:
        print(asyncio.run(_check(one.seats[0])))
    finally:
        stop(one)


if __name__ == "__main__":
    main(*sys.argv[1:])
