"""Programs that write much: the beginning and the end are kept, also if they never end."""

from __future__ import annotations

import sys

import pytest

from lab.util import process
from lab.util.bounded import Kept

MOST = 4096


def write(script: str) -> bytes:
    argv = [sys.executable, "-c", f"import sys\nwrite = sys.stderr.write\n{script}"]
    return process.run(argv, timeout=60.0, options=process.Options(most=MOST)).stderr


def test_the_beginning_and_the_end_are_kept() -> None:
    said = write("write('first')\nfor _ in range(9000): write('x' * 999)\nwrite('last')")
    assert said.startswith(b"firstxxx")
    assert said.endswith(b"xxxlast")
    assert b"bytes are left out]" in said
    assert len(said) < 4 * (64 << 10)


def test_little_is_kept_whole() -> None:
    assert write("write('all of it')") == b"all of it"


def test_what_never_ends_has_said_its_beginning() -> None:
    with pytest.raises(process.TimedOut) as late:
        process.run(["yes", "first"], timeout=5.0, options=process.Options(most=MOST))
    assert late.value.completed.stdout.startswith(b"first\nfirst\n")
    assert len(late.value.completed.stdout) < 4 * (64 << 10)


def test_the_parts_of_a_stream() -> None:
    kept = Kept(8)
    for part in (b"ab", b"cdef", b"gh", b"ij", b"kl", b"mn"):
        kept.add(part)
    assert kept.data() == b"abcd\n[6 bytes are left out]\nklmn"
