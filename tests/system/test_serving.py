"""A class as a participant and a teacher see it: real labs behind real connections."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import ClientSession

from lab.util import process, waiting
from system.serving import Class, Page, begin, opened, stop
from system.world import LONGEST, World


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


def test_a_lesson_checks_itself(world: World, served: Class) -> None:
    """A check passes, and its step is ticked; one that is not done yet fails and says why, without
    a place on the server. The teacher sees how far the seat is."""

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
            assert "(check.yaml:" in page.seat["checked"]["said"]
            assert str(world.folder) not in page.seat["checked"]["said"]
            assert page.seat["progress"] == {steps[0]: "passed", steps[3]: "failed"}
            assert page.seat["state"] == "off", "the participant's own lab was not touched"
            async with session.ws_connect(f"{served.teacher}/socket") as teacher:
                room = await teacher.receive_json()
                assert (room["steps"], room["seats"][1]["passed"]) == (len(steps), 1)

    asyncio.run(go())


def test_a_program_that_does_not_compile(served: Class) -> None:
    """The first of many errors is shown at its line. One that would take all memory is ended, and
    the page says why."""

    async def go() -> None:
        async with ClientSession() as session:
            page, seat = await opened(session, served.seats[1]), served.seats[1]
            many = "int first = wrong;\n" + "".join(f"int v{i} = no{i};\n" for i in range(99))
            await build(session, page, seat, many)
            first = page.seat["problems"][0]
            assert (first["line"], first["kind"]) == (1, "error"), page.seat["said"]
            assert "wrong" in first["text"]
            endless = '__asm__(".rept 1000000000\\n.long 1, 2, 3, 4\\n.endr");\n'
            await build(session, page, seat, endless)
            assert "out of memory" in page.seat["said"]
            assert "may take 100 s of processor time, 4 GiB of memory" in page.seat["said"]
            async with session.delete(f"{seat}/files") as answer:
                assert answer.status == 200

    asyncio.run(go())


async def build(session: ClientSession, page: Page, seat: str, text: str) -> None:
    """Save a program that does not compile, and build it."""
    about = {"name": "guests/hello/main.c", "text": text}
    async with session.put(f"{seat}/files", json=about) as answer:
        assert answer.status == 200
    await page.until(lambda one: bool(one.seat) and not one.seat["busy"])
    await page.socket.send_json({"type": "do", "verb": "build", "guest": "hello"})
    await page.until(lambda one: bool(one.seat["busy"]))
    await page.until(lambda one: not one.seat["busy"])
    assert page.seat["failed"]


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
            await back.until(lambda one: bool(one.seat))
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
    again = begin(world, "two-guests", "--port", one.port, again=True)
    try:
        assert (again.teacher, again.seats) == (one.teacher, one.seats)
        asyncio.run(look(again.seats[0]))
    finally:
        stop(again)


def test_commands_are_forked_of_a_process_that_ends_with_the_server(world: World) -> None:
    """The lab is started by a child of that process, and goes on without both of them."""

    async def start() -> str:
        async with ClientSession() as session:
            page = await opened(session, one.seats[0])
            parent = the_forks(one)
            while not has_forked(parent):  # until it is ready, commands are new programs
                await page.do("down")
            await page.do("up")
            handle = os.pidfd_open(parent)  # it may end before the server's end is seen here
            one.server.signal(signal.SIGKILL).end()
            await asyncio.wait_for(waiting.readable(handle), LONGEST)
            os.close(handle)
            return str(page.seat["name"])

    one = begin(world, "hello")
    name = asyncio.run(start())
    labs = ["--labs", str(world.folder / "runs/.classes/hello/seats/1/labs.yaml")]
    assert json.loads(world.run("lab.status", name, "--json", *labs).out)["state"] == "guests"
    assert "stopped" in world.run("lab.down", name, *labs).err


def the_forks(one: Class) -> int:
    """The process of which a server's commands are forked."""
    server = one.server.process.pid
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    found = [int(pid) for pid in children if b"--forks" in process.arguments(int(pid))]
    assert len(found) == 1
    return found[0]


def has_forked(pid: int) -> bool:
    """Whether children of a process have used processor time and ended (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[13:15] != ["0", "0"]


def test_a_lab_that_nobody_looks_at_sleeps(world: World) -> None:
    """It says nothing while it sleeps, and goes on where it was when its page is opened."""

    async def go() -> None:
        async with ClientSession() as session:
            page = await opened(session, one.seats[0])
            await page.do("up")
            await page.sees("hello", b"alive at tick 1")
            await page.socket.close()
            async with session.ws_connect(f"{one.teacher}/socket") as teacher:
                while (room := await teacher.receive_json())["seats"][0]["state"] != "asleep":
                    pass
            log = world.folder / "runs/.classes/scenario/seats/1/runs/scenario-1"
            log = log / room["seats"][0]["run"] / "console/hello.log"
            size = log.stat().st_size
            back = await opened(session, one.seats[0], was=page)
            await back.until(lambda one: one.seat.get("state") == "running")
            await back.until(lambda one: one.places.get("hello", 0) > size)
            assert log.read_bytes().startswith(back.consoles["hello"])

    one = begin(world, "scenario", "--idle", "0.5")
    try:
        asyncio.run(go())
    finally:
        stop(one)
