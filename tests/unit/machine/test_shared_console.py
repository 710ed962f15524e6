"""Guests' consoles out of Xen's own: every byte once, whoever reads or is killed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.machine import shared_console
from lab.machine.log_lines import LogReader
from lab.machine.merged_consoles import merge
from lab.machine.shared_console import PIECE, RAW, STATE

GUESTS = {1: "early", 2: "late"}
SAID = (
    b"(XEN) [    0.000100] Xen version 4.17\r\n"
    b"(XEN) [    0.381361] DOM1: task 1: hello\r\r\n"
    b"(XEN) [    0.390000] DOM2: DOM1: not one of DOM1\r\r\n"
    b"(XEN) [    0.400000] DOM7: nobody knows it\r\r\n"
    b"(XEN) [    1.000000] DOM1: alive\r\r\n"
)


def laid(folder: Path, *, alone: bool = False) -> Path:
    """Where Xen's words go."""
    shared_console.lay(folder, GUESTS, alone=alone)
    log = folder / (RAW if alone else "xen.log")
    log.touch()
    return log


def spoken(log: Path, data: bytes) -> None:
    with log.open("ab") as file:
        file.write(data)
    shared_console.bring(log.parent)


def test_each_guest_has_its_own_lines(tmp_path: Path) -> None:
    """The line ends are the guest's own; Xen's are taken off."""
    spoken(laid(tmp_path), SAID)
    assert (tmp_path / "early.log").read_bytes() == b"task 1: hello\r\nalive\r\n"
    assert (tmp_path / "late.log").read_bytes() == b"DOM1: not one of DOM1\r\n"


def test_a_line_that_xen_cut_is_whole_again(tmp_path: Path) -> None:
    """Xen prints a long line in pieces of 126 bytes, as if each were one."""
    long = b"x" * PIECE
    words = b"".join(b"(XEN) [    0.1] DOM1: %s\r\n" % part for part in (long, long, b"end\r"))
    spoken(laid(tmp_path), words)
    assert (tmp_path / "early.log").read_bytes() == long + long + b"end\r\n"


def test_lines_are_merged_at_xens_times(tmp_path: Path) -> None:
    spoken(laid(tmp_path), SAID)
    files = {name: tmp_path / f"{name}.log" for name in ("xen", "early", "late")}
    found = [
        (entry.time, entry.line.text) for entry in merge(files) if entry.line.console == "early"
    ]
    assert found == [(0.381361, "task 1: hello"), (1.0, "alive")]


def test_whoever_reads_a_log_brings_it_up_to_date(tmp_path: Path) -> None:
    log = laid(tmp_path)
    log.write_bytes(SAID)
    reader = LogReader("early", tmp_path / "early.log")
    assert [line.text for line in reader.read()] == ["task 1: hello", "alive"]
    reader.close()


def test_nothing_is_written_if_nothing_is_new(tmp_path: Path) -> None:
    """Who follows the folder would be woken for ever."""
    spoken(laid(tmp_path), SAID)
    before = (tmp_path / STATE).stat().st_mtime_ns
    shared_console.bring(tmp_path)
    assert (tmp_path / STATE).stat().st_mtime_ns == before


@given(st.lists(st.integers(0, len(SAID)), max_size=6), st.integers(0, 40))
def test_any_portions_and_any_kill_leave_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], extra: int
) -> None:
    """Also if somebody was killed after the logs were written and before the state was."""
    log = laid(tmp_path_factory.mktemp("console"))
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(SAID)], strict=True):
        with (log.parent / "early.log").open("ab") as half:
            half.write(b"?" * extra)
        spoken(log, SAID[start:end])
    assert (log.parent / "early.log").read_bytes() == b"task 1: hello\r\nalive\r\n"


def test_without_dom0_all_is_shown_up_to_a_moment(tmp_path: Path) -> None:
    log = laid(tmp_path, alone=True)
    shared_console.limit(tmp_path, 0.385)
    spoken(log, SAID)
    assert (tmp_path / "early.log").read_bytes() == b"task 1: hello\r\n"
    assert (tmp_path / "xen.log").read_bytes().count(b"\n") == 2
    assert shared_console.last_stamp(tmp_path) == 1.0
    shared_console.limit(tmp_path, None)
    assert (tmp_path / "xen.log").read_bytes() == SAID


def test_a_folder_without_such_consoles_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "xen.log").write_bytes(SAID)
    shared_console.bring(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["xen.log"]


def test_a_damaged_state_does_no_harm(tmp_path: Path) -> None:
    spoken(laid(tmp_path), SAID)
    (tmp_path / STATE).write_text('{"source": "xen.log", "guests": ')
    shared_console.bring(tmp_path)
    assert b"alive" in (tmp_path / "early.log").read_bytes()


def test_the_state_says_who_is_who(tmp_path: Path) -> None:
    laid(tmp_path)
    assert json.loads((tmp_path / STATE).read_text())["guests"] == {"1": "early", "2": "late"}
    assert re.fullmatch(r"1000000\n", (tmp_path / "early.times").read_text())


@pytest.mark.parametrize("change", ["sizes", "guests", "source", "link"])
def test_a_folder_from_somebody_else_writes_nowhere_else(tmp_path: Path, change: str) -> None:
    """Neither by a name in its state nor by a link."""
    (folder := tmp_path / "console").mkdir()
    victim = tmp_path / "victim.log"
    victim.write_text("mine")
    log = laid(folder)
    state = json.loads((folder / STATE).read_text())
    if change == "sizes":
        state["sizes"]["../victim.log"] = 0
    elif change == "guests":
        state["guests"]["1"] = "../victim"
    elif change == "source":
        state["source"] = "../victim.log"
    else:
        (folder / "early.log").unlink()
        (folder / "early.log").symlink_to(victim)
    (folder / STATE).write_text(json.dumps(state))
    spoken(log, SAID)
    assert victim.read_text() == "mine"


def test_who_says_most(tmp_path: Path) -> None:
    """Of the end of Xen's log; Xen itself may say most, or somebody who is no guest of ours."""
    shared_console.lay(tmp_path, {1: "a", 2: "b"}, alone=False)
    log = tmp_path / "xen.log"

    def says(*numbers: int) -> str:
        words = [f"DOM{number}: text" if number else "Xen" for number in numbers]
        log.write_text("".join(f"(XEN) [    1.000000] {one}\n" for one in words))
        return shared_console.loudest(tmp_path)

    assert says(0, 1, 2, 2, 2, 2) == "b"
    assert says(*([2] * 500), *([1] * 500)) == "a"
    assert says(0, 0, 0, 1) == says(7, 7, 7) == says() == ""
    log.unlink()
    assert shared_console.loudest(tmp_path) == ""
