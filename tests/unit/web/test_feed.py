"""A console for one reader: from a position on, at a bounded rate, with a notice of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.web import feed
from lab.web.allowance import Allowance
from lab.web.feed import ConsoleReader


class Clock:
    """Time that passes when a test says so, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "hello.log"
    path.touch()
    return path


def add(log: Path, data: bytes) -> None:
    with log.open("ab") as stream:
        stream.write(data)


def everything(reader: ConsoleReader) -> bytes:
    found = b""
    while piece := reader.next():
        found += piece.data
    return found


def test_two_readers_have_positions_of_their_own(log: Path) -> None:
    add(log, b"one\n")
    first = ConsoleReader(log)
    assert everything(first) == b"one\n"
    add(log, b"two\n")
    assert everything(ConsoleReader(log)) == b"one\ntwo\n"
    assert everything(first) == b"two\n"


def test_a_reader_that_comes_back_loses_nothing(log: Path) -> None:
    add(log, b"one\ntwo\n")
    piece = ConsoleReader(log).next()
    assert piece
    add(log, b"three\n")
    assert everything(ConsoleReader(log, piece.end)) == b"three\n"


@pytest.mark.parametrize("at", [-1, 1000])
def test_a_position_that_the_log_does_not_have(log: Path, at: int) -> None:
    """Whoever sent it: it is shown from the end of the log, as to a new reader."""
    add(log, b"one\n")
    assert everything(ConsoleReader(log, at)) == b"one\n"


def test_a_new_reader_begins_with_a_whole_line_near_the_end(log: Path) -> None:
    add(log, b"a line\n" * feed.BEFORE)
    found = everything(ConsoleReader(log))
    assert found.startswith(b"a line\n")
    assert len(found) <= feed.BEFORE


def test_a_flood_is_shown_at_a_bounded_rate(log: Path) -> None:
    """In ten seconds a reader gets the burst, ten seconds of the rate, and words about the rest."""
    clock, shown = Clock(), 0
    reader = ConsoleReader(log, clock=clock)
    for _ in range(100):
        add(log, b"flood\n" * 20_000)
        shown += len(everything(reader))
        clock.now += 0.1
    assert feed.BURST < shown <= feed.BURST + 10 * feed.RATE + 100 * feed.PORTION
    assert reader.wait() is not None


def test_what_is_left_out_is_told(log: Path) -> None:
    reader = ConsoleReader(log)
    add(log, b"a line\n" * feed.BEHIND)
    piece = reader.next()
    assert piece
    notice, _, rest = piece.data.lstrip().partition(b"\r\n")
    assert b"bytes are not shown" in notice
    assert rest.startswith(b"a line\n")
    left_out = int(notice.split()[0][1:])
    assert left_out + feed.LAST >= log.stat().st_size - 2 * len(b"a line\n")


def test_a_quiet_reader_need_not_ask_again(log: Path) -> None:
    add(log, b"one\n")
    reader = ConsoleReader(log)
    everything(reader)
    assert reader.wait() is None


def test_an_allowance_fills_up_and_not_over() -> None:
    clock = Clock()
    one = Allowance(rate=10, burst=100, clock=clock)
    one.take(100)
    assert one.left() == 0
    clock.now = 5
    assert one.left() == 50
    clock.now = 1000
    assert one.left() == 100
