"""Consoles that print anything at all: kept unchanged, shown escaped, and unable to decide
anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from watched import harm

from lab.machine import console_quota
from lab.machine.console import failure_in
from lab.machine.console_text import lines_of, merged
from lab.machine.log_lines import MAX_LINE, LineSplitter, RawLine, tail
from lab.rundir import RunDir, new_run
from lab.util.screen import ScreenFilter

#: What may be taken for somebody else's words, or command a terminal.
MARKS = [
    b"(XEN) Panic on CPU 0:\n", b"\n(XEN) [1.0] Hardware Dom0 crashed\n", b"lab: FAILED x\n",
    b"\n[    1.0] Kernel panic - not syncing: x\n", b"*** LOADING DOMAIN 0 ***\n", b"\r\n", b"\n",
    b"\x1b]0;owned\x07", b"\x1b[2J", b"\x9b6n", b"\xff\xfe", b"\xed\xa0\x80", b"\xe2\x80\xae",
    b"selftest: PASS (24 checks)\n", b"lab: counter 5 frequency 62500000\n", b"# frequency 0\n",
]  # fmt: skip
pieces = st.lists(st.sampled_from(MARKS) | st.binary(max_size=60), max_size=25).map(b"".join)
#: A line of the file in which dom0 stamps what guests say: right ones, and ones that lie.
stamps = st.tuples(
    st.sampled_from([b"talker", b"xen", b"", b"../x", b"\xff"]),
    st.sampled_from([b"0", b"7", b"-1", b"9" * 30, b"9" * 5000, b"x", b""]),
    st.sampled_from([b"0", b"100", b"-5", b"9" * 30, b"1e9", b""]),
).map(b" ".join)
headers = st.sampled_from([b"# frequency 62500000", b"# frequency " + b"9" * 5000, b"# 0", b"x"])
times = st.builds(
    lambda head, rest: head + b"\n" + rest,
    headers,
    st.lists(stamps | st.sampled_from(MARKS), max_size=12).map(b"\n".join),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return new_run(tmp_path_factory.mktemp("runs"), "lab")


def harmless(text: str) -> bool:
    return all(char.isprintable() or char in "\n\t" for char in text)


@given(pieces, pieces, pieces, times)
def test_anything_is_shown_harmless(
    run: RunDir, xen: bytes, dom0: bytes, talker: bytes, stamped: bytes
) -> None:
    """Alone, merged in time order, as the last lines of an error, and on a person's terminal.
    Nothing raises."""
    for name, said in {"xen": xen, "dom0": dom0, "talker": talker}.items():
        run.console(name).write_bytes(said)
    run.times_file.write_bytes(stamped)
    for name in ("xen", "dom0", "talker"):
        assert all(map(harmless, lines_of(run.console(name))))
        assert harmless(tail(run.console(name)))
    assert all(map(harmless, merged(run.consoles(), run.times_file)))
    assert harm(ScreenFilter().feed(xen + dom0 + talker)) == []
    assert all(count > 0 for count in console_quota.lost(run).values())
    assert run.console("talker").read_bytes() == talker


@given(pieces)
def test_a_guest_never_speaks_for_others(said: bytes) -> None:
    """Whatever it prints, nothing on its console says that Xen or dom0 failed."""
    splitter = LineSplitter("talker")
    assert not [line for line in splitter.feed(said + b"\n") if failure_in(line)]


@given(st.lists(st.binary(max_size=40) | st.just(b"x" * (MAX_LINE + 5)), max_size=12))
def test_lines_are_bounded_however_they_come(portions: list[bytes]) -> None:
    """In any portions: no line is longer than the limit, and no byte is lost except line ends."""
    splitter = LineSplitter("talker")
    lines: list[RawLine] = [line for portion in portions for line in splitter.feed(portion)]
    lines += [splitter.partial] if splitter.partial else []
    assert all(len(line.raw) <= MAX_LINE for line in lines)
    kept = b"".join(line.raw for line in lines)
    assert kept.replace(b"\r", b"") == b"".join(portions).translate(None, b"\r\n")
