"""The server: what a link opens, what a browser may do, and that a page comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import WSServerHandshakeError

from lab import rundir
from lab.web import commands, editing, machines, seat_hub
from lab.web.classroom import Seat
from lab.workshop.page_parts import PARTS
from web.serving import MAIN, Run, Served, output, told


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


def test_a_report_is_a_page_of_nobody(served: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser runs its scripts as if it came from nowhere; without traces there is none."""

    async def run(_: object, words: list[str], *__: object) -> commands.Done:
        Path(words[words.index("--out") + 1]).write_text("<!doctype html>a report")
        return commands.Done(0, "")

    async def test(one: Served) -> None:
        url = f"{one.seat()}/report"
        async with one.session.get(url) as answer:
            assert answer.status == 409
            assert "no timing traces" in await answer.text()
        hub = one.there.hubs[0]
        made = rundir.new_run(hub.seat.folder / "runs", hub.seat.name)
        (made.trace_dir / "log").write_text("")
        async with one.session.ws_connect(f"{one.seat()}/socket") as page:
            await page.send_json({"type": "from"})
            while not (await told(page, "seat"))["traced"]:
                pass
        async with one.session.get(url) as answer:
            assert "a report" in await answer.text()
            assert answer.headers["Content-Security-Policy"].startswith("sandbox allow-scripts;")

    monkeypatch.setattr(commands.Commands, "run", run)
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


def test_the_teachers_page_follows_the_last_line(
    served: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A console grows, and the page shows its last line: long before anybody looks at the lab
    again. However much it says, its log is read only once for each message of the page."""
    monkeypatch.setattr(seat_hub, "ASKED", 3600.0)
    read: list[machines.Now] = []

    def with_last(known: machines.Now) -> machines.Now:
        read.append(known)
        return was(known)

    async def test(one: Served) -> None:
        seat = one.there.hubs[0].seat
        run = rundir.new_run(seat.folder / "runs", seat.name)
        run.console("hello").touch()
        async with (
            one.session.ws_connect(f"{one.teacher}/socket") as teacher,
            one.session.ws_connect(f"{one.seat()}/socket") as page,
        ):
            await page.send_json({"type": "from"})
            while (await told(page, "seat"))["run"] != run.id:
                pass
            with run.console("hello").open("ab", buffering=0) as log:
                for number in range(5000):
                    log.write(b"line %d\n" % number)
            shown = 0
            while (await told(teacher, "room"))["seats"][0]["last"] != "line 4999":
                shown += 1
            assert len(read) <= shown + 2

    was = machines.with_last
    monkeypatch.setattr(machines, "with_last", with_last)
    served(test)


def test_an_error_of_the_server_names_no_place_of_it(
    served: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def listed(seat: Seat) -> None:
        raise OSError(28, "No space left", str(seat.folder / "guests/a.c"))

    async def test(one: Served) -> None:
        async with one.session.get(f"{one.seat()}/files") as answer:
            assert answer.status == 500
            assert (await answer.text()).endswith(" No space left: 'guests/a.c'\n")

    monkeypatch.setattr(editing, "listed", listed)
    served(test)
