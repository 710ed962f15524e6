"""Whatever a guest writes reaches a terminal only as text."""

from __future__ import annotations

import io
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.progress import Progress
from lab.util.terminal import LINE_LIMIT, escape, escape_lines, quote, table, title


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"hello from FreeRTOS", "hello from FreeRTOS"),
        ("grüße – 漢字".encode(), "grüße – 漢字"),
        (b"a\tb", "a\tb"),
        (b"\x1b[2J\x1b]0;x\x07", "\\x1b[2J\\x1b]0;x\\x07"),
        (b"a\rb\nc\x00", "a\\x0db\\x0ac\\x00"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("\u2028\u00a0", "\\u2028\\xa0"),
        ("x\ufe0f\u3164", "x\\ufe0f\\u3164"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_is_not_plainly_visible_is_spelled_out(raw: bytes | str, shown: str) -> None:
    assert escape(raw) == shown


@given(st.binary(max_size=3000) | st.text(max_size=3000))
def test_escaped_text_is_harmless(raw: bytes | str) -> None:
    """No control, format, surrogate or unassigned character is left, and the length is bounded."""
    shown = escape(raw)
    bad = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not [c for c in shown if c != "\t" and unicodedata.category(c) in bad]
    shown.encode("utf-8")
    assert len(shown) <= 10 * LINE_LIMIT + 50


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_stays(text: str) -> None:
    assert escape(text) == text[:LINE_LIMIT]
    assert escape(text.encode()) == text[:LINE_LIMIT]


def test_long_lines_are_cut_with_a_count() -> None:
    assert escape(b"x" * 2500) == "x" * 2000 + " … [500 more bytes]"
    assert escape("é" * 12, limit=10) == "é" * 10 + " … [2 more characters]"
    assert escape("é".encode() * 12, limit=11) == "é" * 5 + " … [14 more bytes]"
    assert escape(b"\x80" * 12, limit=5).endswith("more bytes]")
    assert (title("x" * 80), title("x" * 81)) == ("x" * 80, "x" * 78 + " …")


def test_lines_keep_their_ends_and_only_the_last() -> None:
    assert escape_lines(b"a\r\nb\x1b\r\nc") == "a\nb\\x1b\nc"
    assert escape_lines(b"a\nb\nc\n", last=2) == "b\nc"
    assert escape_lines("") == ""


def test_quote_is_short() -> None:
    assert quote("x" * 100) == "'" + "x" * 60 + " … [40 more characters]'"


def test_table_is_aligned() -> None:
    rows = [("hello", 16, "r"), ("Domain-0", 256, "")]
    assert table(rows, header=("name", "MiB", "state")) == (
        "name      MiB  state\nhello      16  r\nDomain-0  256"
    )
    assert table([]) == ""


def test_stages_are_plain_lines_elsewhere() -> None:
    """Nested stages are indented, notes stay, phases are remembered."""
    out = io.StringIO()
    progress = Progress(out)
    with progress.stage("boot"), progress.stage("Xen") as stage:
        stage.note("4.17\x1b")
    assert re.fullmatch(r"  Xen … \d\.\ds \(4\.17\\x1b\)\nboot … \d\.\ds\n", out.getvalue())
    assert set(progress.phases) == {"boot", "Xen"}


def fail_in(progress: Progress, error: BaseException) -> None:
    with progress.stage("boot"):
        raise error


def test_failed_and_interrupted_stages_say_so() -> None:
    out = io.StringIO()
    with pytest.raises(ZeroDivisionError):
        fail_in(Progress(out), ZeroDivisionError())
    with pytest.raises(KeyboardInterrupt):
        fail_in(Progress(out), KeyboardInterrupt())
    assert re.fullmatch(r"boot … failed after .*\nboot … interrupted after .*\n", out.getvalue())


def test_quiet_says_nothing() -> None:
    out = io.StringIO()
    with Progress(out, quiet=True).stage("boot"):
        pass
    assert out.getvalue() == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("colours", [True, False])
def test_terminal_gets_a_live_line_and_a_final_one(
    monkeypatch: pytest.MonkeyPatch, colours: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    with Progress(out).stage("boot [Xen]"):
        pass
    assert re.search(r"boot \[Xen\] … \d\.\ds\n\Z", out.getvalue())
    assert ("\x1b[36m" in out.getvalue()) == colours


def test_closed_stream_does_not_end_the_work() -> None:
    out = io.StringIO()
    progress = Progress(out)
    with progress.stage("boot"):
        out.close()
