"""The server: what a link opens, what a browser may do, and that a page comes back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType, WSServerHandshakeError
from aiohttp.test_utils import TestServer

from lab import config, rundir
from lab.web import classroom, room, server
from lab.web.assets import Assets
from lab.workshop.page_parts import PARTS

LABS = "guests: {one: {freertos: app}}\nlabs: {hello: {guests: [one]}}\n"
MAIN = "int main(void);\n"
SOON = 30.0


@dataclass
class Served:
    """A class whose server runs, in this process; no lab of it runs."""

    session: ClientSession
    base: str
    there: room.Room

    def seat(self, number: int = 1) -> str:
        return f"{self.base}/s/{self.there.hubs[number - 1].seat.secret}"

    @property
    def teacher(self) -> str:
        return f"{self.base}/t/{self.there.classroom.teacher}"

    async def status(self, url: str) -> int:
        async with self.session.get(url) as answer:
            return answer.status


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Served]:
    (folder / "app").mkdir()
    (folder / "app/main.c").write_text(MAIN)
    (folder / "labs.yaml").write_text(LABS)
    lab = config.find_lab(config.load(folder / "labs.yaml"), "hello")
    with classroom.opened(folder / "runs", "hello", 2) as found:
        async with room.opened(found, room.Taught(folder / "labs.yaml", lab)) as there:
            app = server.application(there, Assets({"xterm.js": b"// a terminal"}))
            async with TestServer(app) as running, ClientSession() as session:
                yield Served(session, str(running.make_url("")).rstrip("/"), there)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs a coroutine function with a class that is served."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setattr(rundir, "runtime_root", lambda: runtime)

    def go(test: Callable[[Served], Awaitable[None]]) -> None:
        async def around() -> None:
            async with serving(tmp_path) as one:
                await asyncio.wait_for(test(one), SOON)

        asyncio.run(around())

    return go


Run = Callable[[Callable[[Served], Awaitable[None]]], None]


def test_a_link_opens_its_page_and_no_other(served: Run) -> None:
    async def test(one: Served) -> None:
        assert await one.status(one.seat()) == 200
        assert await one.status(one.teacher) == 200
        assert await one.status(one.seat().replace("/s/", "/t/")) == 404
        assert await one.status(one.teacher.replace("/t/", "/s/")) == 404
        for wrong in ("/", "/s/", "/s/x", "/t/x", "/s/x/socket", "/t/x/socket", "/assets/nosuch"):
            assert await one.status(one.base + wrong) == 404, wrong
        assert await one.status(f"{one.base}/assets/..%2fserver.py") == 404

    served(test)


def test_pages_load_nothing_from_elsewhere(served: Run) -> None:
    """Every answer says so to the browser, and tells no other server the link."""

    async def test(one: Served) -> None:
        for url in (one.seat(), f"{one.base}/assets/xterm.js", f"{one.base}/nowhere"):
            async with one.session.get(url) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "http" not in policy
                assert answer.headers["Referrer-Policy"] == "no-referrer"

    served(test)


def test_the_pages_name_only_files_that_are_there(root: Path) -> None:
    folder = root / "lab/web/assets"
    for page in folder.glob("*.html"):
        named = {word.split('"')[0] for word in page.read_text().split("/assets/")[1:]}
        assert named
        assert {name for name in named if not (folder / name).exists()} <= set(PARTS)


def test_a_page_of_another_server_is_refused(served: Run) -> None:
    async def test(one: Served) -> None:
        for url in (one.seat(), one.teacher):
            with pytest.raises(WSServerHandshakeError) as refused:
                await one.session.ws_connect(f"{url}/socket", origin="http://elsewhere.example")
            assert refused.value.status == 403
            async with one.session.ws_connect(f"{url}/socket", origin=one.base):
                pass

    served(test)


def test_files_of_a_seat(served: Run) -> None:
    """They are read, saved with the mistakes in them, and renewed; only from our own pages."""

    async def test(one: Served) -> None:
        url, main = f"{one.seat()}/files", {"name": "guests/app/main.c", "text": "int x;"}
        async with one.session.get(url) as answer:
            assert [file["name"] for file in await answer.json()] == [main["name"], "labs.yaml"]
        async with one.session.put(url, json=main) as answer:
            assert (answer.status, await answer.json()) == (200, {})
        async with one.session.get(url) as answer:
            assert (await answer.json())[0]["text"] == "int x;"
        wrong = {"name": "labs.yaml", "text": "guests: {one: {freertos: /etc}}"}
        async with one.session.put(url, json=wrong) as answer:
            assert answer.status == 409
            assert (await answer.json())["problems"][0]["line"] == 1
        elsewhere = {"Origin": "http://elsewhere.example"}
        async with one.session.put(url, json=main, headers=elsewhere) as answer:
            assert answer.status == 403
        async with one.session.delete(url, headers=elsewhere) as answer:
            assert answer.status == 403
        for nonsense in (b"", b"[]", b"{}", b"\xff", b"7"):
            async with one.session.put(url, data=nonsense) as answer:
                assert answer.status == 400
        async with one.session.delete(url) as answer:
            assert answer.status == 200
        async with one.session.get(url) as answer:
            assert (await answer.json())[0]["text"] == MAIN

    served(test)


async def told(socket: Any, kind: str) -> dict[str, Any]:
    """The next message of a kind."""
    async for message in socket:
        if message.type is WSMsgType.TEXT and json.loads(message.data)["type"] == kind:
            return dict(json.loads(message.data))
    raise AssertionError("the server closed the connection")


async def output(socket: Any) -> tuple[str, int, bytes]:
    """The next output of a console: its name, the position behind it, the bytes."""
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            end = 1 + message.data[0]
            place = int.from_bytes(message.data[end : end + 8], "big")
            return message.data[1:end].decode(), place, message.data[end + 8 :]
    raise AssertionError("the server closed the connection")


def test_a_page_shows_the_last_run_and_goes_on_where_it_was(served: Run) -> None:
    async def test(one: Served) -> None:
        seat = one.there.hubs[0].seat
        run = rundir.new_run(seat.folder / "runs", seat.name)
        run.console("hello").write_bytes(b"first\n")
        async with one.session.ws_connect(f"{one.seat()}/socket") as socket:
            await socket.send_json({"type": "from", "run": "", "at": {}})
            name, place, data = await output(socket)
            assert (name, data) == ("hello", b"first\n")
        with run.console("hello").open("ab") as log:
            log.write(b"second\n")
        async with one.session.ws_connect(f"{one.seat()}/socket") as socket:
            await socket.send_json({"type": "from", "run": run.id, "at": {"hello": place}})
            assert await output(socket) == ("hello", place + 7, b"second\n")

    served(test)


def test_the_teacher_sees_all_seats(served: Run) -> None:
    async def test(one: Served) -> None:
        async with one.session.ws_connect(f"{one.teacher}/socket") as socket:
            seats = (await told(socket, "room"))["seats"]
            assert [seat["name"] for seat in seats] == ["hello-1", "hello-2"]
            assert [one.base + seat["link"] for seat in seats] == [one.seat(1), one.seat(2)]
            async with one.session.ws_connect(f"{one.seat(2)}/socket") as page:
                await page.send_json({"type": "from"})
                while (await told(socket, "room"))["seats"][1]["watchers"] != 1:
                    pass

    served(test)


def test_a_message_reaches_every_seat(served: Run) -> None:
    async def test(one: Served) -> None:
        async with (
            one.session.ws_connect(f"{one.teacher}/socket") as teacher,
            one.session.ws_connect(f"{one.seat(2)}/socket") as page,
        ):
            await page.send_json({"type": "from"})
            await teacher.send_json({"type": "say", "seat": "all", "text": "a break <b>now</b>"})
            while (await told(page, "seat"))["message"] != "a break <b>now</b>":
                pass

    served(test)


def test_a_closed_seat_changes_nothing(served: Run) -> None:
    async def test(one: Served) -> None:
        main = {"name": "guests/app/main.c", "text": "int x;"}
        one.there.hubs[0].close(closed=True)
        await one.there.hubs[0].idle()
        async with one.session.put(f"{one.seat()}/files", json=main) as answer:
            assert answer.status == 403
        async with one.session.ws_connect(f"{one.seat()}/socket") as page:
            await page.send_json({"type": "from"})
            await page.send_json({"type": "do", "verb": "up"})
            await page.send_json({"type": "size", "rows": 3, "columns": 4})
            assert (await told(page, "seat"))["closed"]
            assert not one.there.hubs[0].busy
        one.there.hubs[0].close(closed=False)
        async with one.session.put(f"{one.seat()}/files", json=main) as answer:
            assert answer.status == 200

    served(test)


def test_links_to_hand_out(served: Run) -> None:
    """Only the teacher gets them; each has a code."""

    async def test(one: Served) -> None:
        async with one.session.get(f"{one.teacher}/seats") as answer:
            links = [one.base + seat["link"] for seat in await answer.json()]
        assert links == [one.seat(1), one.seat(2)]
        async with one.session.get(f"{one.teacher}/code", params={"text": links[0]}) as answer:
            assert answer.content_type == "image/svg+xml"
            assert 'xmlns="http://www.w3.org/2000/svg"' in await answer.text()
        async with one.session.get(f"{one.teacher}/code", params={"text": "x" * 5000}) as answer:
            assert answer.status == 400
        for what in ("links", "seats", "code"):
            assert await one.status(f"{one.seat()}/{what}") == 404
            assert await one.status(f"{one.base}/t/x/{what}") == 404

    served(test)


@pytest.mark.parametrize(
    "words",
    ["", "[]", "7", "{", "[" * 10_000, '{"type": "do"}', '{"type": "do", "verb": ["up"]}',
     '{"type": "type", "on": "../xen", "text": "x"}', '{"type": "type", "on": 1}',
     '{"type": "size", "rows": "x", "columns": -1}', '{"type": "from", "at": 3, "run": {}}',
     '{"type": "from", "at": {"hello": "x"}}'],
)  # fmt: skip
def test_what_a_page_should_not_send_is_ignored(served: Run, words: str) -> None:
    async def test(one: Served) -> None:
        async with one.session.ws_connect(f"{one.seat()}/socket") as socket:
            await socket.send_str(words)
            await socket.send_bytes(words.encode())
            await socket.send_json({"type": "from"})
            assert (await told(socket, "seat"))["state"] == "off"

    served(test)
