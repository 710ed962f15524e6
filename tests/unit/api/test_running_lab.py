"""A console of a running lab, and the lab's names. No machine runs here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from lab.api.consoles import Console
from lab.api.scoped import limit
from lab.errors import GuestError, MachineError, NotSeen, UsageError
from lab.model import Domain, State
from lab.run.live import Live
from lab.run.slots import Room, machine
from lab.rundir import LabDir, RunDir

T = TypeVar("T")


class Owner:
    """A lab that has one guest, or whose machine is lost."""

    name = "lab-1"

    def __init__(self, run_dir: Path, lost: MachineError | None = None) -> None:
        self.run_dir = run_dir
        self.lost = lost
        self.steps: list[str] = []

    def do(self, step: Coroutine[Any, Any, T], what: str, on: str = "") -> T:
        del on
        self.steps.append(what)
        return asyncio.run(step)

    def domains(self) -> list[Domain]:
        if self.lost:
            raise self.lost
        return [Domain("g", 3, 16 << 20, 1, "--p---", 0.1)]


def console(tmp_path: Path, owner: Owner, name: str = "g") -> Console:
    run = RunDir(tmp_path)
    run.console_dir.mkdir(exist_ok=True)
    found = Live("lab-1", LabDir(tmp_path), run, State.GUESTS, None, "host", kept=False)
    return Console(owner, found, name)


def test_expect_goes_on_where_it_stopped(tmp_path: Path) -> None:
    guest = console(tmp_path, Owner(tmp_path))
    guest.log.write_text("one 1\ntwo 2\n")
    assert guest.expect("one").line == "one 1"
    assert guest.expect(re.compile(r"two (\d)")).match[1] == "2"
    guest.begin(0)
    assert guest.expect(r"^o.e", regex=True).seconds < 5
    guest.skip()
    with pytest.raises(NotSeen):
        guest.expect("two", within=0.01)


def test_a_text_is_no_pattern(tmp_path: Path) -> None:
    guest = console(tmp_path, Owner(tmp_path))
    guest.log.write_text("a.c\nabc\n")
    assert guest.expect("a.c").line == "a.c"
    with pytest.raises(UsageError, match="is not a regular expression"):
        guest.expect("(", regex=True)
    with pytest.raises(UsageError, match="a pattern of bytes"):
        guest.expect(re.compile(b"x"))  # type: ignore[arg-type]
    guest.log.write_text("a" * 10_000 + "!\n")
    with pytest.raises(UsageError, match="takes too long"):
        guest.expect("(a+)+$", regex=True)


def test_what_is_no_text_or_time_is_named(tmp_path: Path) -> None:
    """The error shows what was given, and is no traceback of our code."""
    guest = console(tmp_path, Owner(tmp_path))
    guest.log.write_text("x\n")
    with pytest.raises(UsageError, match=r"'within' must be a number of seconds, .* not ''10s''"):
        guest.expect("x", within="10s")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="a text or a pattern, not 'None'"):
        guest.expect(None)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="needs a text, not 'b'x''"):
        guest.send(b"x")  # type: ignore[arg-type]


def test_what_is_not_seen_is_a_failed_assertion_of_the_guest(tmp_path: Path) -> None:
    """The error says what, where, for how long, what happened to the domain, and has the last
    lines, escaped."""
    guest = console(tmp_path, Owner(tmp_path))
    guest.log.write_bytes(b"last\x1b[2J words\n")
    with pytest.raises(AssertionError) as failed:
        guest.expect("hello", within=0.05)
    error = failed.value
    assert isinstance(error, GuestError)
    assert "'hello' was not seen on the console of g within 0.05s" in str(error)
    assert "paused" in str(error)
    assert "last" in error.tail
    assert "\x1b" not in str(error)
    assert error.run == tmp_path


def test_a_lost_machine_is_not_the_guests_failure(tmp_path: Path) -> None:
    """dom0 is asked what happened to the guest. If it cannot answer, that is the failure."""
    guest = console(tmp_path, Owner(tmp_path, MachineError("QEMU ended by itself")))
    guest.log.write_text("")
    with pytest.raises(MachineError):
        guest.expect("hello", within=0.05)


def test_limits_as_people_write_them() -> None:
    assert limit("3", "2G", "90s").room == Room(3, 2 << 30)
    assert limit("3", "2G", "90s").within == 90
    assert limit().room == machine()
    for wrong in (("many", "", ""), ("", "2", ""), ("", "", "soon")):
        with pytest.raises(UsageError, match="the limit on labs"):
            limit(*wrong)
