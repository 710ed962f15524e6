"""What a person's terminal gets from a console. `pyte`, itself a terminal, reports what it did."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyte import modes
from watched import COLUMNS, ROWS, harm, seen

from lab.util.screen import ScreenFilter

#: What commands a terminal, asks it, leaves it broken; and what is harmless.
MARKS = [
    b"\x1b]0;owned\x07", b"\x1b]52;c;cm0gLXJm\x07", b"\x1b]8;;http://x\x1b\\", b"\x1bP$q\"p\x1b\\",
    b"\x1b_x\x1b\\", b"\x1b^x\x1b\\", b"\x1bXx\x1b\\", b"\x1b[21t", b"\x1b[2t", b"\x1b[5i",
    b"\x1b[6n", b"\x1b[5n", b"\x1b[c", b"\x1b[>c", b"\x1bZ", b"\x9b6n", b"\xc2\x9b6n", b"\x90",
    b"\x1b[?6n", b"\x1b[?1000h", b"\x1b[?1;1006h", b"\x1b[?5h", b"\x1b[?3h", b"\x1b[20h",
    b"\x1b(0", b"\x1b)0", b"\x0e", b"\x0f", b"\x1b%@", b"\x1b#8", b"\x1bc", b"\x1b[!p", b"\x1bH",
    b"\x1b[3g", b"\x1b[3J", b"\x1b[1;2;3;4;5T", b"\x1b[99999999999999C", b"\x1b[" + b"1;" * 90,
    b"\x1b[31m", b"\x1b[38;5;9;48;2;1;2;3m", b"\x1b[2J", b"\x1b[H", b"\x1b[3;10r", b"\x1b[?25l",
    b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?7l", b"\x1b[4h", b"\x1b=", b"\x1b7", b"\x1b8", b"\x1bM",
    b"\x1b[9999b", b"\x1b[K", b"\x1b[5A", b"\x1b[2;3H", b"\x1b[L", b"\x1b[?", b"\x1b[", b"\x1b",
    b"\xe2\x80\xae", b"\xe6\xbc\xa2", b"\xe2\x80", b"\xff", b"\r\n", b"\t", b"\b", b"\x18", b"\x1a",
]  # fmt: skip
pieces = st.lists(st.sampled_from(MARKS) | st.binary(max_size=40), max_size=30).map(b"".join)


def shown(data: bytes) -> str:
    screen = ScreenFilter(ROWS, COLUMNS)
    return screen.feed(data) + screen.flush()


@given(pieces)
def test_nothing_harmful_reaches_the_terminal(said: bytes) -> None:
    """Only text and the listed sequences: a real terminal is asked nothing, and nothing is
    switched."""
    assert harm(shown(said)) == []


@given(pieces)
def test_the_terminal_is_left_as_it_was(said: bytes) -> None:
    """Attributes, cursor, modes, region and keys. After that there is nothing more to restore."""
    screen = ScreenFilter(ROWS, COLUMNS)
    before, after = seen(""), seen(screen.feed(said) + screen.flush() + screen.restore())
    assert after.harm == []
    assert after.mode == before.mode
    assert after.margins == before.margins
    assert after.cursor.attrs == before.cursor.attrs
    assert after.cursor.hidden == before.cursor.hidden
    assert screen.restore() == ""


@given(pieces, st.lists(st.integers(0, 400), max_size=12))
def test_portions_do_not_matter(said: bytes, cuts: Iterable[int]) -> None:
    """Sequences, numbers and UTF-8 may be split anywhere; the answers stay the same."""
    whole, split = ScreenFilter(ROWS, COLUMNS), ScreenFilter(ROWS, COLUMNS)
    ends = [0, *sorted(cuts), len(said)]
    text = "".join(split.feed(said[a:b]) for a, b in pairwise(sorted(ends)))
    assert text + split.flush() == whole.feed(said) + whole.flush()
    assert split.answers() == whole.answers()


@given(st.binary(max_size=50), st.sampled_from([b"1", b";", b"0;", b":", b"\xe6\xbc", b"!"]))
def test_what_is_held_back_is_bounded(begin: bytes, more: bytes) -> None:
    """However long a sequence is."""
    screen = ScreenFilter()
    screen.feed(begin + b"\x1b[" + more * 5000)
    assert len(screen.flush()) < 200


moves = st.sampled_from(
    ["\x1b[{}A", "\x1b[{}B", "\x1b[{}C", "\x1b[{}D", "\x1b[{}E", "\x1b[{}F", "\x1b[{}G", "\x1b[{}H",
     "\x1b[7;{}H", "\x1b[{}d", "\x1b[{}a", "\x1b[{}e", "\x1b[{}L", "\x1b[{}M", "\x1b[{}X", "\x1b[K"]
)  # fmt: skip
text = st.text("abc def漢é", min_size=1, max_size=30) | st.sampled_from(["\r", "\n", "\b", "\t"])
steps = st.lists(text | st.builds(str.format, moves, st.integers(0, 90)), max_size=20)


@given(steps)
def test_the_cursor_is_where_the_terminal_has_it(said: list[str]) -> None:
    """A program that asks gets the same answer as from the terminal."""
    screen = ScreenFilter(ROWS, COLUMNS)
    text = screen.feed(b"\x1b[H" + "".join(said).encode())
    real = seen(text).cursor
    assert (screen.cursor.row - 1, screen.cursor.column - 1) == (real.y, min(real.x, COLUMNS - 1))
    screen.feed(b"\x1b[6n")
    assert screen.answers() == f"\x1b[{real.y + 1};{min(real.x, COLUMNS - 1) + 1}R".encode()


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (b"\x1b[999;999H\x1b[6n", b"\x1b[24;80R"),  # as resize(1) does
        (b"\x1b[2;9r\x1b[9;1H\n\n\x1b[6n", b"\x1b[9;1R"),
        (b"\x1b[2;9r\x1b[4;1H\x1b[99A\x1b[6n", b"\x1b[2;1R"),
        (b"\x1b[3;7H\x1b7\x1b[H\x1b8\x1b[6n", b"\x1b[3;7R"),
        (b"\x1b[5n\x1b[c\x1b[0c\x1bZ", b"\x1b[0n" + b"\x1b[?6c" * 3),
        (b"\x1b[>c\x1b[=c\x1b[?6n\x1b[?15n\x1b[?25$p\x1b[x\x1b[>q\x1b[?u", b""),
        (b"\x1b[6n" * 1000, b"\x1b[24;1R" * 16),
    ],
)
def test_programs_that_ask_are_answered_by_us(asked: bytes, answer: bytes) -> None:
    screen = ScreenFilter(ROWS, COLUMNS)
    assert "n" not in screen.feed(asked)
    assert screen.answers() == answer
    assert screen.answers() == b""


@pytest.mark.parametrize(
    ("said", "passed"),
    [
        (b"\x1b[6n$ ls\x1b[J", "$ ls\x1b[J"),  # the prompt of busybox
        (b"\x1b[01;32mok\x1b[0m", "\x1b[1;32mok\x1b[0m"),
        (b"\x1b[4:3mx\x1b[>4;2m", "x"),
        (b"\x1b[?1;1000;25h", "\x1b[?1h\x1b[?25h"),
        (b"\x1b[?47h\x1b[?1049h\x1b[22;0;0t", "\x1b[?1049h"),
        (b"a\x1b(0lqqk\x0e\x1b(Bb", "a┌──┐b"),
        (b"\x1b)0\x0ex\x0fx", "│x"),
        (b"ab\x1b[3b", "abbbb"),
        (b"\x1b[s\x1b[u", "\x1b7\x1b8"),
        (b"\x1b]0;owned\x07", "\\x1b]0;owned\a"),
        (b"\x1bP1$r\x1b\\", "\\x1bP1$r\\x1b\\"),
        (b"\x1b[21t\x1b[5i", "\\x1b[21t\\x1b[5i"),
        (b"\x9b31m\xc2\x9b31m", "\\x9b31m\\x9b31m"),
        (b"\x1b[3\x1b[1m", "\\x1b[3\x1b[1m"),
        (b"\x1b[" + b"1" * 90 + b"m", "\\x1b[" + "1" * 90 + "m"),
        (b"\x1b[1;2;3;4;5T", "\\x1b[1;2;3;4;5T"),
        (b"\x0b\x0c\x00", "\\x0b\\x0c\\x00"),
    ],
)
def test_what_passes_and_what_is_shown(said: bytes, passed: str) -> None:
    assert shown(said) == passed


def test_a_reset_empties_the_screen_and_no_more() -> None:
    """After `reset` in a guest, the person's own settings of the terminal stay."""
    screen = ScreenFilter()
    screen.feed(b"\x1b[?25l\x1b[7m")
    assert screen.feed(b"\x1bc") == "\x1b[?25h\x1b[m\x1b[H\x1b[2J"
    assert screen.cursor.row == screen.cursor.column == 1


def test_the_terminal_knows_our_modes() -> None:
    """A test of the test: the oracle notices what it should."""
    assert modes.DECTCEM in seen("").mode
    bad = "\x1b]0;x\x07\x1b[6n\x1b(0\x1b[?1000h\x9b5n"
    assert set(seen(bad).harm) == {"title", "answer", "character set", "mode 1000"}


def test_a_window_that_shrinks_takes_the_cursor_along() -> None:
    screen = ScreenFilter(50, 200)
    screen.feed(b"\x1b[40;150H")
    screen.cursor.resize(24, 80)
    screen.feed(b"\x1b[6n")
    assert screen.answers() == b"\x1b[24;80R"
