"""Whoever asks for too much is refused or left out, and the others notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from lab.web import door, room, serving
from lab.web.allowance import Allowance
from lab.web.assets import Assets
from web.serving import SOON, Served, told
from web.serving import serving as in_memory

Test = Callable[[Served], Awaitable[None]]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
#: Values of every kind that JSON has, and of none that a page sends.
ODD: list[object] = [None, True, -1, 1e308, "x", "\ud800", [], [[]], {}, {"a": 1}, 10**30]


def at_the_door(folder: Path, test: Test) -> None:
    """Run a test with a class that is served as lab.serve does it."""

    async def go() -> None:
        async with in_memory(folder) as one, behind(one.there) as base, ClientSession() as session:
            async with asyncio.timeout(SOON * 2):
                await test(Served(session, base, one.there))

    asyncio.run(go())


@contextlib.asynccontextmanager
async def behind(there: room.Room) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0), backlog=door.BACKLOG) as listening:
        async with serving.answering(there, Assets({}), listening):
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"


async def raw(one: Served, data: bytes = b"") -> Streams:
    """A connection that sends this and no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(one.base).port)
    writer.write(data)
    return reader, writer


async def rest(streams: Streams) -> bytes:
    """What comes until the server closes the connection."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while more := await streams[0].read(1 << 16):
            data += more
    streams[1].close()
    return data


@pytest.mark.parametrize("said", [b"", b"G", b"GET / HTTP/1.1\r\nHost: a\r\nX: "])
def test_silent_connections_keep_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """The oldest make room; a page that is open is not one of them."""
    monkeypatch.setattr(door, "MOST", 8)

    async def test(one: Served) -> None:
        async with one.session.ws_connect(f"{one.seat(2)}/socket") as page:
            await page.send_json({"type": "from"})
            assert await told(page, "seat")
            many = [await raw(one, said) for _ in range(40)]
            assert await one.status(one.seat()) == 200
            await asyncio.gather(*(rest(each) for each in many[:32]))
            one.there.hubs[1].say("are you there?")
            while (await told(page, "seat"))["message"] != "are you there?":
                pass
            for _, writer in many[32:]:
                writer.close()

    at_the_door(tmp_path, test)


@pytest.mark.parametrize(
    ("limit", "more", "answered"), [("IDLE", b"", b""), ("BODY", b"\r\nabc", b"HTTP/1.1 408 ")]
)
def test_slow_requests_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, more: bytes, answered: bytes
) -> None:
    """Headers, or a file, that never come to an end."""
    monkeypatch.setattr(door, limit, 0.1)

    async def test(one: Served) -> None:
        path = urlsplit(one.seat()).path
        begun = f"PUT {path}/files HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n".encode()
        answer = await rest(await raw(one, begun + more))
        assert answer[: len(b"HTTP/1.1 408 ")] == answered

    at_the_door(tmp_path, test)


def test_one_seat_does_not_ask_for_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file at a time is taken from it; few may wait; the other seat does not."""
    monkeypatch.setattr(door, "AT_ONCE", 4)

    async def test(one: Served) -> None:
        path = urlsplit(one.seat()).path
        begun = f"PUT {path}/files HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n".encode()
        many = [await raw(one, begun + b"x" * 900) for _ in range(4)]
        while await one.status(one.seat()) != 429:
            pass
        assert await one.status(one.seat(2)) == 200
        for _, writer in many:
            writer.close()
        while await one.status(one.seat()) != 200:
            pass

    at_the_door(tmp_path, test)


def test_few_pages_of_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PAGES", 2)

    async def test(one: Served) -> None:
        url = f"{one.seat()}/socket"
        async with one.session.ws_connect(url), one.session.ws_connect(url) as second:
            with pytest.raises(WSServerHandshakeError) as refused:
                await one.session.ws_connect(url)
            assert refused.value.status == 429
            async with one.session.ws_connect(f"{one.seat(2)}/socket"):
                await second.close()
        async with one.session.ws_connect(url):
            pass

    at_the_door(tmp_path, test)


def test_an_answer_that_nobody_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is closed, and the next one gets its answer."""
    monkeypatch.setattr(door, "ANSWER", 0.0)

    async def test(one: Served) -> None:
        folder = one.there.hubs[0].seat.folder / "guests/app"
        for number in range(60):
            (folder / f"f{number}.c").write_bytes(b"x" * (200 << 10))
        path = urlsplit(one.seat()).path
        reader, writer = await raw(one)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(f"GET {path}/files HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await rest((reader, writer))) < 60 * (200 << 10)
        monkeypatch.setattr(door, "ANSWER", SOON)
        async with one.session.get(f"{one.seat()}/files") as answer:
            assert len(await answer.json()) == 62

    at_the_door(tmp_path, test)


def test_requests_that_make_no_sense(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """They are refused, and the server says nothing about them."""

    async def test(one: Served) -> None:
        path = urlsplit(one.seat()).path.encode()
        head = b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        for words in (
            b"\x16\x03\x01\x02\x00\x01" * 50,
            b"GET /" + b"a" * 100_000 + head + b"\r\n",
            b"GET /" + head + b"X: " + b"b" * 100_000 + b"\r\n\r\n",
            b"GET http://[::1" + head + b"\r\n",
            b"PUT " + path + b"/files" + head + b"Content-Length: 9999999999\r\n\r\n",
            b"PUT " + path + b"/files" + head + b"Content-Encoding: gzip\r\n"
            b"Content-Length: 5\r\n\r\nabcde",
            b"PUT " + path + b"/files" + head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"GET " + path + b"/socket" + head + b"\r\n",
        ):
            answer = await rest(await raw(one, words))
            assert answer.split(b" ")[1][:1] == b"4", (words[:60], answer[:100])

    at_the_door(tmp_path, test)
    said = capfd.readouterr()
    assert not said.out + said.err


def test_messages_of_wrong_types(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """They are ignored, and the page goes on."""

    async def test(one: Served) -> None:
        some = random.Random(1)
        keys = ["run", "at", "on", "text", "rows", "columns", "verb", "guest", "step", "of", "seat"]
        kinds = ["from", "type", "size", "do", "say", "close", *ODD]
        one.there.hubs[0].messages = Allowance(1e9, 1 << 40)
        for url in (one.seat(), one.teacher):
            async with one.session.ws_connect(f"{url}/socket") as page:
                await page.send_json({"type": "from"})
                for text in ("[" * 100_000, "1" * 5000, "NaN", "", '{"type": "do", "type": 1}'):
                    await page.send_str(text)
                for number in range(200):
                    message = {key: some.choice([*ODD, "GDB", "xen"]) for key in keys}
                    message |= {"type": kinds[number % len(kinds)]}
                    if message["verb"] == "x" or some.random() < 0.1:
                        message["verb"] = some.choice(["check", "build"])
                    await page.send_str(json.dumps(message))
                one.there.hubs[0].close(closed=False)
                one.there.hubs[0].say("still there?")
                kind = "seat" if url == one.seat() else "room"
                while "still there?" not in json.dumps(await told(page, kind)):
                    pass

    at_the_door(tmp_path, test)
    said = capfd.readouterr()
    assert not said.out + said.err


def test_clicks_and_long_messages_count_more(tmp_path: Path) -> None:
    """A page that sends too much is read more slowly, and nothing is lost."""

    async def test(one: Served) -> None:
        spent = []
        for message in ({"type": "size"}, {"type": "do"}, {"type": "x", "text": "x" * 50_000}):
            one.there.hubs[0].messages = pace = Allowance(1.0, 10_000, lambda: 0.0)
            async with one.session.ws_connect(f"{one.seat()}/socket") as page:
                await page.send_json(message)
                while pace.left() == 10_000:
                    await asyncio.sleep(0)
            spent.append(10_000 - pace.left())
        assert spent == [1, 101, 49]
        assert pace.wait(10_000) == 49.0

    at_the_door(tmp_path, test)
