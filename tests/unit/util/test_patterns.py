"""Texts and expressions that are searched for in lines. None of them takes for ever."""

from __future__ import annotations

import contextlib
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.util import regex_size
from lab.util.patterns import FIRST, TooSlow, compiled, pattern

#: Expressions with exponential time, and lines that bring it out.
ENDLESS = (("(a+)+$", "a" * 16_000 + "!"), ("(x+x+)+y", "x" * 5_000), ("(a|aa)+$", "a" * 60 + "!"))


@pytest.mark.parametrize(("text", "line"), ENDLESS)
def test_an_endless_expression_is_given_up(text: str, line: str) -> None:
    """The error has the expression, its place, and what to do."""
    before = time.process_time()
    with pytest.raises(TooSlow, match="takes too long on a line of") as failed:
        pattern(text, regex=True, line=7).search(line)
    assert time.process_time() - before < 5 * FIRST
    assert failed.value.line == 7
    assert text in failed.value.message
    assert failed.value.hint
    with pytest.raises(TooSlow):
        compiled(re.compile(text)).search(line)


def test_many_slow_lines_are_no_way_around_it() -> None:
    """The time limit of one line is not granted to each line again."""
    slow = pattern("(a|aa)+$", regex=True)
    before = time.process_time()
    with pytest.raises(TooSlow):
        any(slow.search("a" * 22 + "!") for _ in range(10_000))
    assert time.process_time() - before < 5 * FIRST


def test_plain_ones_go_on_as_long_as_there_are_lines() -> None:
    plain = pattern(r"p99 .*jitter \d+", regex=True)
    assert not any(plain.search(f"alive at tick {tick}") for tick in range(100_000))
    assert not any(plain.search("x") for _ in range(100_000))


def test_a_text_is_no_expression() -> None:
    assert pattern("a.c", regex=False).search("abc a.c")
    assert not pattern("a.c", regex=False).search("abc")


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        (r"^you typed: (\w+)$", "you typed: ok", "ok"),
        (r"(?i)PASS (?P<n>\d+)", "pass 3", "3"),
        (r"(?<=tick )(\d+)\b", "alive at tick 12 ", "12"),
        (r"(\w)\1", "aabb", "a"),
        (r"^(never)$", "nevermore", None),
    ],
)
def test_expressions_are_pythons(text: str, line: str, found: str | None) -> None:
    mine, theirs = pattern(text, regex=True).search(line), re.search(text, line)
    assert (mine and mine[1]) == (theirs and theirs[1]) == found


def test_from_a_place_in_the_line_on() -> None:
    """``^`` is the line's beginning, not the place where the search begins."""
    for one in (pattern("^b", regex=True), compiled(re.compile("^b"))):
        assert one.search("ab", 1) is None
    assert pattern("b", regex=True).search("bb", 1)


def test_flags_of_what_is_compiled_already_hold() -> None:
    assert compiled(re.compile("he..o", re.IGNORECASE | re.DOTALL)).search("HE\nLO")
    with pytest.raises(ValueError, match="bytes"):
        compiled(re.compile(b"x"))  # type: ignore[arg-type]


#: Expressions that would take all memory, or minutes, when they are compiled.
LARGE = (
    "a{1000000000}", "a{1000000000,}", "a{ 1000000000 }", "(a{1000}){1000}", "(?:a?){1000000000}",
    "((a{100}){100}){100}", "(?x)a{100 000 000}", "a{99999999999999999999}", "[(]{9999999}",
    "a" * 1_000_000, "(a{10000}b){10000}", "a{10000}" * 1000, r"\({100000}", "a{2}{1000000}",
)  # fmt: skip


@pytest.mark.parametrize("text", LARGE, ids=lambda text: text[:20])
def test_an_expression_may_not_become_too_large(text: str) -> None:
    with pytest.raises(ValueError, match="characters"):
        pattern(text, regex=True)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", 0), ("abc", 3), ("a{3}", 3), ("(ab){3}", 9), (r"\{30\}", 4), ("[{}0-9]{4}", 4),
        ("a{,5}", 1), ("a{0,99999999}", 1), ("(a{10}){10}", 110), ("()", 1), ("(", 0), (")", 1),
        (r"\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{6}", 26), ("a{b}", 4), ("[]]{3}", 3), ("[", 1),
    ],
)  # fmt: skip
def test_the_size_of_an_expression(text: str, pieces: int) -> None:
    assert regex_size.size(text) == pieces


@given(st.text("a({[])},\\*+?|^10 ", max_size=30))
def test_what_is_small_is_soon_compiled(text: str) -> None:
    """Whatever its text: the compiled form is no larger than the computed size."""
    before = time.process_time()
    with contextlib.suppress(ValueError):
        pattern(text, regex=True)
    assert time.process_time() - before < 10 * FIRST


@pytest.mark.parametrize("text", ["(", "a{1,99999999999}", "*", "\\", "(" * 5000 + ")" * 5000])
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(ValueError, match=r"at position|recursion"):
        pattern(text, regex=True)
