"""A person's terminal on a console: what is shown first, what is left out, what is typed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from lab.errors import Dom0Error
from lab.machine import interactive
from lab.machine.interactive import BEFORE, BEHIND, LAST, Behind, _Attached, _last_lines, _recent


def recent(folder: Path, said: bytes) -> bytes:
    log = folder / "log"
    log.write_bytes(said)
    with log.open("rb") as stream:
        return _recent(stream)


def test_what_was_said_before_begins_with_a_line(tmp_path: Path) -> None:
    """Not in the middle of a line, nor with the screen of a full-screen program that has ended."""
    assert recent(tmp_path, b"short\n# ") == b"short\n# "
    long = b"".join(b"line %d\r\n" % n for n in range(1000))
    shown = recent(tmp_path, long)
    assert shown.startswith(b"line ")
    assert long.endswith(shown)
    assert len(shown) <= BEFORE
    drawn = b"# vi\n\x1b[?1049h\x1b[2Jtext\x1b[?1049l# "
    assert recent(tmp_path, drawn) == b"# "


def test_how_to_leave_stays_in_sight() -> None:
    """Earlier output fills the window except for that line and the cursor's line."""
    said = b"".join(b"line %d\r\n" % n for n in range(100))
    assert _last_lines(said, 24, 80).count(b"\n") == 22
    assert _last_lines(said, 24, 80).endswith(b"line 99\r\n")
    long = b"x" * 200 + b"\r\n" + b"y" * 200 + b"\r\n# "
    assert _last_lines(long, 6, 80) == b"y" * 200 + b"\r\n# "
    assert _last_lines(b"x" * 2000, 6, 80) == b"x" * 2000


def test_who_is_far_behind_is_shown_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The terminal says how much is left out. A sequence that the gap cuts does no harm."""
    log = tmp_path / "log"
    log.write_bytes(b"\x1b[3" + b"0123456789abcde\n" * (BEHIND // 8))
    attached = _Attached("hello", -1, Behind())
    with log.open("rb") as stream:
        attached.screen.feed(stream.read(3))
        attached._catch_up(stream)
        rest = stream.read()
    said = capsys.readouterr().out
    assert f"[{log.stat().st_size - 3 - len(rest)} bytes are not shown; the log has them]" in said
    assert LAST - 16 <= len(rest) <= LAST
    assert rest.startswith(b"0123")


def test_what_is_typed_waits_for_a_slow_machine() -> None:
    """A paste that is larger than the FIFO arrives whole, and in order."""
    pasted = b"".join(b"%07d\n" % n for n in range(40_000))
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    async def paste() -> bytes:
        attached = _Attached("hello", writer, Behind())
        attached._type(pasted)
        found = b""
        while len(found) < len(pasted):
            found += await asyncio.to_thread(os.read, reader, 4096)
        return found

    try:
        assert asyncio.run(asyncio.wait_for(paste(), 60)) == pasted
    finally:
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize(("answers", "typed"), [(True, b"\x1b[24;1R"), (False, b"")])
def test_questions_are_answered_where_they_may_be(answers: bool, typed: bytes) -> None:
    """Not under the virtual clock: a run must not depend on who is watching."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)

    async def ask() -> None:
        attached = _Attached("hello", writer, Behind(answers))
        attached.screen.feed(b"\x1b[6n")
        attached._answer()

    try:
        asyncio.run(ask())
        os.close(writer)
        assert os.read(reader, 100) == typed
    finally:
        os.close(reader)


def test_the_windows_size_is_told_again_when_dom0_was_busy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And whenever it changes. If dom0 never has time, nothing is sent."""
    told: list[tuple[int, int]] = []
    window = [(24, 80)]
    enough = asyncio.Event()

    async def resized(rows: int, columns: int) -> None:
        told.append((rows, columns))
        if len(told) == 1:
            raise Dom0Error("dom0's agent is busy")
        enough.set()

    async def go() -> None:
        attached = _Attached("dom0", -1, Behind(resized=resized))
        task = asyncio.ensure_future(attached._tell_size())
        await asyncio.wait_for(enough.wait(), 60)
        enough.clear()
        window.append((50, 200))
        attached._resized.set()
        await asyncio.wait_for(enough.wait(), 60)
        task.cancel()

    monkeypatch.setattr(interactive, "AGAIN", 0.0)
    monkeypatch.setattr(os, "isatty", lambda _: True)
    monkeypatch.setattr(interactive, "_size", lambda: window[-1])
    asyncio.run(go())
    assert told == [(24, 80), (24, 80), (50, 200)]


@pytest.mark.parametrize("console", ["g", "g-vuart0"])
def test_what_is_typed_arrives(console: str) -> None:
    """On a guest's console, and on that of its UART."""
    reader, writer = os.pipe()

    async def type_it() -> None:
        _Attached(console, writer, Behind())._type(b"typed")

    try:
        asyncio.run(type_it())
        os.close(writer)
        assert os.read(reader, 100) == b"typed"
    finally:
        os.close(reader)
