"""Consoles: lines from raw logs, waits that always end, and one order for all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.machine.console import AwaitedLine, Follower, Waited, WaitEnd, failure_in
from lab.machine.log_lines import MAX_LINE, MOST_LINES, LineSplitter, LogReader, RawLine, tail
from lab.model import Layer
from lab.util.deadline import Deadline

T = TypeVar("T")
READY = AwaitedLine.text("dom0", "lab: ready")


def raws(lines: list[RawLine]) -> list[bytes]:
    return [line.raw for line in lines]


def test_any_line_end_is_taken_off() -> None:
    splitter = LineSplitter("xen")
    lines = splitter.feed(b"a\r\nb\r\r\n\rc\n\nd")
    assert raws(lines) == [b"a", b"b", b"c", b""]
    assert splitter.partial == RawLine("xen", b"d", 11)


def test_endless_line_is_cut_and_nothing_is_lost() -> None:
    splitter = LineSplitter("g")
    lines = splitter.feed(b"x" * (3 * MAX_LINE + 5)) + splitter.feed(b"y\n" + b"z" * MAX_LINE * 2)
    assert [len(line.raw) for line in lines] == [MAX_LINE] * 3 + [6, MAX_LINE]
    assert lines[4].offset == 3 * MAX_LINE + 7


@given(st.lists(st.binary(max_size=30)))
def test_portions_do_not_matter(portions: list[bytes]) -> None:
    """However the bytes arrive, the lines and their offsets are the same."""
    data = b"".join(portions)
    one = LineSplitter("g")
    many = LineSplitter("g")
    whole = one.feed(data)
    assert [line for portion in portions for line in many.feed(portion)] == whole
    assert many.partial == one.partial
    for line in whole:
        assert data[line.offset :].lstrip(b"\r").startswith(line.raw)


def test_reader_takes_a_file_that_comes_later_and_grows(tmp_path: Path) -> None:
    path = tmp_path / "xen.log"
    reader = LogReader("xen", path)
    assert reader.read() == []
    path.write_bytes(b"one\ntw")
    assert raws(reader.read()) == [b"one"]
    with path.open("ab") as file:
        file.write(b"o\xff\n")
    assert raws(reader.read()) == [b"two\xff"]
    assert reader.read() == []
    reader.close()


def test_reader_hands_over_very_short_lines_in_portions(tmp_path: Path) -> None:
    """Else whoever searches them does not look at the clock for seconds. None gets lost."""
    path = tmp_path / "wild.log"
    many = 3 * MOST_LINES + 7
    path.write_bytes(b"".join(b"%d\n" % number for number in range(many)) + b"rest")
    reader = LogReader("wild", path)
    portions = []
    while found := reader.read():
        portions.append(found)
    assert max(map(len, portions)) == MOST_LINES
    lines = [line for portion in portions for line in portion]
    assert raws(lines) == [b"%d" % number for number in range(many)]
    data = path.read_bytes()
    assert all(data[line.offset :].startswith(line.raw) for line in lines[:: MOST_LINES // 2])
    assert reader.partial
    assert reader.partial.raw == b"rest"
    reader.close()


# ---------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("console", "raw", "layer"),
    [
        ("xen", b"(XEN) Panic on CPU 0:", Layer.XEN),
        ("xen", b"(XEN) [    0.123456] Panic on CPU 1:", Layer.XEN),
        ("xen", b"(XEN) [    9.5] Hardware Dom0 crashed: rebooting machine", Layer.DOM0),
        ("dom0", b"[    1.2] Kernel panic - not syncing: No working init found.", Layer.DOM0),
        ("xen", b"[    4.0] Kernel panic - not syncing: VFS", Layer.DOM0),
        ("xen", b"(d1) Kernel panic - not syncing: VFS", None),
        ("dom0", b"lab: FAILED xenstored", Layer.DOM0),
        ("dom0", b"[    3.1] lab: FAILED xenstored", Layer.DOM0),
        ("xen", b"(d1) Panic on CPU 0:", None),
        ("xen", b"(d1) [    1.0] (XEN) Panic on CPU 0:", None),
        ("hello", b"(XEN) Panic on CPU 0:", None),
        ("hello", b"Kernel panic - not syncing", None),
        ("hello", b"lab: FAILED", None),
        ("dom0", b"echo lab: FAILED", None),
    ],
)
def test_only_xen_and_dom0_say_that_they_are_lost(
    console: str, raw: bytes, layer: Layer | None
) -> None:
    failure = failure_in(RawLine(console, raw))
    assert (failure.layer if failure else None) == layer


# ---------------------------------------------------------------- waiting


class Consoles:
    """Logs of a machine that the test writes."""

    def __init__(self, folder: Path) -> None:
        self.files = {name: folder / f"{name}.log" for name in ("xen", "dom0", "hello")}
        self.stop = asyncio.Event()

    def write(self, name: str, data: bytes) -> None:
        with self.files[name].open("ab") as file:
            file.write(data)

    def wait(
        self, *, then: Callable[[], None] | None = None, seconds: float = 5.0
    ) -> tuple[Waited, list[RawLine]]:
        """Wait for ``READY`` while ``then`` happens a moment later."""

        async def go(follower: Follower) -> Waited:
            if then:
                asyncio.get_running_loop().call_later(0.05, then)
            return await follower.wait_for(READY, Deadline(seconds), self.stop)

        with Follower(self.files) as follower:
            waited = asyncio.run(go(follower))
            return waited, follower.read()


@pytest.fixture
def consoles(tmp_path: Path) -> Consoles:
    return Consoles(tmp_path)


def test_wanted_line_that_was_there_already(consoles: Consoles) -> None:
    consoles.write("dom0", b"early\nlab: ready\nlate\n")
    waited, rest = consoles.wait()
    assert waited.outcome is WaitEnd.SEEN
    assert waited.line == RawLine("dom0", b"lab: ready", 6)
    assert raws(rest) == [b"late"]


def test_wanted_line_that_comes_is_seen_at_once(consoles: Consoles) -> None:
    waited, _ = consoles.wait(then=lambda: consoles.write("dom0", b"lab: rea" + b"dy\n"))
    assert waited.outcome is WaitEnd.SEEN
    assert waited.seconds < 2


def test_unfinished_line_counts(consoles: Consoles) -> None:
    waited, _ = consoles.wait(then=lambda: consoles.write("dom0", b"lab: ready> "))
    assert waited.outcome is WaitEnd.SEEN


def test_panic_ends_the_wait_and_its_reason_is_read(consoles: Consoles) -> None:
    consoles.write("dom0", b"lab: ready\n")
    consoles.write("xen", b"(XEN) Panic on CPU 0:\n")
    waited, _ = consoles.wait()
    assert waited.outcome is WaitEnd.FAILED
    assert waited.failure is not None
    assert waited.failure.layer is Layer.XEN


def test_stop_ends_the_wait(consoles: Consoles) -> None:
    waited, _ = consoles.wait(then=consoles.stop.set)
    assert waited.outcome is WaitEnd.STOPPED
    assert waited.seconds < 2


def test_what_is_in_the_log_wins_over_the_stop(consoles: Consoles) -> None:
    consoles.stop.set()
    consoles.write("dom0", b"[ 1.0] Kernel panic - not syncing: x\n")
    assert consoles.wait()[0].outcome is WaitEnd.FAILED


def test_deadline_ends_the_wait_even_in_a_flood(consoles: Consoles) -> None:
    """On any host, almost nothing is read once the deadline has passed."""

    def flood() -> None:
        if not over.is_set():
            turns.append(time.monotonic())
            consoles.write("hello", b"noise\n" * 1000)
            asyncio.get_running_loop().call_soon(flood)

    over, turns = asyncio.Event(), list[float]()
    waited, _ = consoles.wait(then=flood, seconds=0.3)
    over.set()
    assert waited.outcome is WaitEnd.DEADLINE
    assert sum(turn > turns[0] + 0.3 for turn in turns) < 200  # the wait began before the flood


def test_no_deadline_passes_without_an_end(consoles: Consoles) -> None:
    assert consoles.wait(seconds=0.05)[0].outcome is WaitEnd.DEADLINE


def test_waiting_sleeps(consoles: Consoles) -> None:
    """Nothing is polled: half a second of silence costs almost no CPU time."""
    used = time.process_time()
    consoles.wait(seconds=0.5)
    assert time.process_time() - used < 0.1


def test_guest_cannot_answer_for_dom0(consoles: Consoles) -> None:
    consoles.write("hello", b"lab: ready\n(XEN) Panic on CPU 0:\n")
    assert consoles.wait(seconds=0.05)[0].outcome is WaitEnd.DEADLINE


def test_lines_of_all_consoles(consoles: Consoles) -> None:
    async def go(follower: Follower) -> list[RawLine]:
        asyncio.get_running_loop().call_later(0.02, lambda: consoles.write("hello", b"hi\n"))
        return await follower.lines(Deadline(5))

    with Follower(consoles.files) as follower:
        assert asyncio.run(go(follower)) == [RawLine("hello", b"hi", 0)]


def run(work: Awaitable[T]) -> T:
    async def main() -> T:
        return await work

    return asyncio.run(main())


def test_offsets_skip_what_is_known(consoles: Consoles) -> None:
    consoles.write("hello", b"old\nnew\n")
    with Follower(consoles.files, {"hello": 4}) as follower:
        assert run(follower.lines(Deadline(1))) == [RawLine("hello", b"new", 4)]


def test_tail_is_short_and_harmless(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(b"".join(b"line %d\x1b\r\n" % i for i in range(9999)))
    assert tail(path, 2) == "line 9997\\x1b\nline 9998\\x1b"
    assert tail(tmp_path / "none") == ""


def test_tools_that_xen_refuses_are_the_toolstacks_failure() -> None:
    """xen-init-dom0 is the first to use Xen's control interface; another program is dom0's."""
    line = b"lab: FAILED /usr/sbin/%s: exit status 1"
    refused = failure_in(RawLine("dom0", line % b"xen-init-dom0"))
    other = failure_in(RawLine("dom0", line % b"xenconsoled"))
    assert refused is not None
    assert refused.layer is Layer.TOOLSTACK
    assert other is not None
    assert other.layer is Layer.DOM0
