"""Talking to a console: every line counts once, in order, and none is missed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from lab.errors import MachineError
from lab.machine import conversation
from lab.machine.conversation import Found, Position
from lab.util import patterns
from lab.util.deadline import Deadline


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "hello.log"


def find(log: Path, pattern: str, start: Position, within: float = 0.0) -> Found | None:
    wanted = patterns.pattern(pattern, regex=True)

    async def go() -> Found | None:
        return await asyncio.wait_for(conversation.find(log, start, wanted, Deadline(within)), 30)

    return asyncio.run(go())


def then(log: Path, *patterns: str) -> list[str | None]:
    """What each pattern matched, one after the other, from the log's beginning."""
    at, seen = Position(), []
    for pattern in patterns:
        found = find(log, pattern, at)
        at = found.position if found else at
        seen.append(found.match[0] if found else None)
    return seen


def test_each_line_counts_once_and_in_order(log: Path) -> None:
    log.write_text("one\ntwo\none again\n")
    assert then(log, "one", "one", "one") == ["one", "one", None]
    assert then(log, "two", r"^two") == ["two", None]


def test_what_is_left_of_a_line_is_not_missed(log: Path) -> None:
    log.write_text("a=1 b=2 c=3\nnext\n")
    assert then(log, r"b=\d", r"a=\d", r"c=\d", "next") == ["b=2", None, "c=3", "next"]


def test_a_rest_of_a_line_has_no_beginning(log: Path) -> None:
    """``^`` is where the line begins, not where the last search stopped."""
    log.write_text("say say\n")
    assert then(log, "say", "^ say") == ["say", None]


def test_a_line_that_is_used_up_does_not_match_again(log: Path) -> None:
    log.write_text("done\nmore\n")
    assert then(log, "done", ".*") == ["done", "more"]


def test_a_failed_question_uses_up_nothing(log: Path) -> None:
    log.write_text("one\ntwo\n")
    assert then(log, "three", "one") == [None, "one"]


def test_an_unfinished_line_counts_when_it_stays_like_that(log: Path) -> None:
    """A prompt has no end. But a number of which only a part has arrived is not taken for the
    number."""
    log.write_text("login: ")
    found = find(log, "login: ", Position(), within=600)
    assert found
    assert found.position == Position(0, 7)

    async def slowly() -> Found | None:
        log.write_text("count=1")
        question = asyncio.create_task(
            conversation.find(
                log, Position(), patterns.pattern(r"count=(\d+)", regex=True), Deadline(5)
            )
        )
        await asyncio.sleep(conversation.QUIET / 2)
        with log.open("a") as file:
            file.write("2\n")
        return await question

    whole = asyncio.run(slowly())
    assert whole
    assert whole.match[1] == "12"


def test_the_rest_of_a_prompt_comes_later(log: Path) -> None:
    log.write_text("login: ")
    found = find(log, "login: ", Position())
    assert found
    with log.open("a") as file:
        file.write("root\nlogin: ")
    assert find(log, "^login", found.position, 1) is not None
    rest = find(log, r"\w+", found.position)
    assert rest
    assert rest.match[0] == "root"


def test_lines_that_come_later_are_waited_for(log: Path) -> None:
    async def go() -> Found | None:
        question = asyncio.create_task(
            conversation.find(log, Position(), patterns.pattern("x", regex=False), Deadline(10))
        )
        await asyncio.sleep(0.05)
        log.write_text("a\nx\n")
        return await question

    found = asyncio.run(go())
    assert found
    assert found.line.text == "x"


def test_bytes_that_are_no_text_and_endless_lines(log: Path) -> None:
    log.write_bytes(b"\xff\xfe\x1b[31m" + b"x" * 50_000 + b" end\nafter\n")
    assert then(log, "end", "after") == ["end", "after"]


def test_the_end_is_behind_all_that_was_said(log: Path) -> None:
    assert conversation.end_of(log) == Position()
    log.write_text("old\nold too\nhalf")
    at = conversation.end_of(log)
    with log.open("a") as file:
        file.write(" and new\n")
    assert find(log, "old|half", at) is None
    found = find(log, "new", at)
    assert found


def test_typing_reaches_the_fifo(tmp_path: Path) -> None:
    fifo = tmp_path / "guest-g.in"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    asyncio.run(conversation.type_into(fifo, b"hello\r"))
    assert os.read(reader, 100) == b"hello\r"
    os.close(reader)


def test_more_than_a_fifo_holds_waits_for_the_reader(tmp_path: Path) -> None:
    fifo = tmp_path / "guest-g.in"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    data, got = os.urandom(200_000), bytearray()

    async def go() -> None:
        asyncio.get_running_loop().add_reader(reader, lambda: got.extend(os.read(reader, 1 << 20)))
        await conversation.type_into(fifo, data)
        while len(got) < len(data):
            await asyncio.sleep(0)

    asyncio.run(asyncio.wait_for(go(), 20))
    assert bytes(got) == data
    os.close(reader)


def test_typing_to_nobody_is_the_machines_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = tmp_path / "guest-g.in"
    with pytest.raises(MachineError, match="guest-g cannot be typed into"):
        asyncio.run(conversation.type_into(fifo, b"x"))
    os.mkfifo(fifo)
    with pytest.raises(MachineError, match="cannot be typed into"):
        asyncio.run(conversation.type_into(fifo, b"x"))
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    monkeypatch.setattr(conversation, "TYPED", 0.1)
    with pytest.raises(MachineError, match=r"did not accept the typed input within 0\.1 s"):
        asyncio.run(conversation.type_into(fifo, b"x" * 200_000))
    os.close(reader)
