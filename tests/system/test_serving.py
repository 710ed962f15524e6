"""A class as a participant and a teacher see it: real labs behind real connections."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest
from aiohttp import ClientSession

from system.serving import Class, begin, opened, stop
from system.world import World


@pytest.fixture(scope="module")
def served(world: World) -> Iterator[Class]:
    """A class of two, for a whole module."""
    one = begin(world, "hello", "--seats", "2", "--lesson", "first-guest")
    try:
        yield one
    finally:
        stop(one)


def test_a_lab_in_the_browser(served: Class) -> None:
    """A seat starts its lab, sees all consoles, types to guest and dom0, and resets it. The other
    seat and the teacher see their own."""

    async def go() -> None:
        async with ClientSession() as session:
            page = await opened(session, served.seats[0])
            await page.do("up")
            await page.sees("hello", b"task 2: hello from FreeRTOS")
            await page.sees("xen", b"Xen version")
            await page.type("hello", "how are you\r")
            await page.sees("hello", b"you typed: how are you")
            await page.type("dom0", "\recho $((6*7))ab\r")
            await page.sees("dom0", b"42ab")
            await page.until(lambda one: len(one.seat["domains"]) == 2)
            other = await opened(session, served.seats[1])
            await other.until(lambda one: bool(one.seat))
            assert other.seat["state"] == "off"
            first = page.seat["run"]
            await page.do("reset")
            await page.until(lambda one: one.seat["state"] == "running")
            assert page.seat["run"] != first
            async with session.ws_connect(f"{served.teacher}/socket") as teacher:
                room = await teacher.receive_json()
                assert [one["state"] for one in room["seats"]] == ["running", "off"]
                await teacher.send_json({"type": "do", "verb": "down", "seat": "all"})
                await page.until(lambda one: one.seat["state"] == "off")
                await page.until(lambda one: not one.seat["busy"])

    asyncio.run(go())


def test_a_lesson_checks_itself(served: Class) -> None:
    """A check passes, and its step is ticked; one that is not done yet fails and says why. The
    teacher sees how far the seat is."""

    async def go() -> None:
        async with ClientSession() as session:
            async with session.get(f"{served.seats[1]}/lesson") as answer:
                steps = [one["id"] for one in (await answer.json())["steps"]]
            page = await opened(session, served.seats[1])
            await page.do("check", step=steps[0])
            assert page.seat["checked"]["passed"], page.seat["checked"]["said"]
            await page.do("check", step=steps[3])
            assert not page.seat["checked"]["passed"]
            assert "not seen" in page.seat["checked"]["said"]
            assert page.seat["progress"] == {steps[0]: "passed", steps[3]: "failed"}
            assert page.seat["state"] == "off", "the participant's own lab was not touched"
            async with session.ws_connect(f"{served.teacher}/socket") as teacher:
                room = await teacher.receive_json()
                assert (room["steps"], room["seats"][1]["passed"]) == (len(steps), 1)

    asyncio.run(go())


def test_a_page_that_comes_back_misses_nothing(world: World, served: Class) -> None:
    """What a console said while the page was away is shown, and nothing twice."""

    async def go() -> None:
        async with ClientSession() as session:
            page = await opened(session, served.seats[0])
            await page.do("up")
            await page.sees("hello", b"alive at tick 1")
            await page.socket.close()
            watcher = await opened(session, served.seats[0])
            await watcher.sees("hello", b"alive at tick 3")
            back = await opened(session, served.seats[0], was=page)
            await back.sees("hello", b"alive at tick 3")
            folder = world.folder / "runs/.classes/hello/seats/1/runs/hello-1"
            log = folder / back.seat["run"] / "console/hello.log"
            assert log.read_bytes().startswith(back.consoles["hello"])
            await back.do("down")

    asyncio.run(go())


def test_a_second_server_of_a_class_is_refused(world: World, served: Class) -> None:
    assert served.teacher
    assert "another server has the class" in world.run("lab.serve", "hello", status=2).err


def test_labs_go_on_if_the_server_is_killed(world: World) -> None:
    """The next server has the same links, and finds the lab as it was. Ctrl-C stops it."""

    async def start(link: str) -> str:
        async with ClientSession() as session:
            page = await opened(session, link)
            await page.do("up")
            return str(page.seat["run"])

    async def look(link: str) -> None:
        async with ClientSession() as session:
            page = await opened(session, link)
            await page.until(lambda one: one.seat.get("state") == "running")
            assert page.seat["run"] == run
            await page.sees("hello2", b"hello from FreeRTOS")

    one = begin(world, "two-guests")
    run = asyncio.run(start(one.seats[0]))
    one.server.signal(signal.SIGKILL).end()
    again = begin(world, "two-guests", "--port", one.port)
    try:
        assert (again.teacher, again.seats) == (one.teacher, one.seats)
        asyncio.run(look(again.seats[0]))
    finally:
        stop(again)
