"""Timing traces of whole labs are there, agree with each other, and cannot be spoilt by guests.

These tests read the raw files with a few lines of their own, to check the decoders.
"""

from __future__ import annotations

import bisect
import itertools
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from system.world import World

#: Events of a guest (images/freertos/port/trace.h) and of Xen (xen/include/public/trace.h).
TICK, MARK, JOB_BEGIN, JOB_END, RELEASE, LOST = 17, 32, 35, 36, 37, 0xFFFF
RUNSTATE, RUNNING, RUNNABLE, BLOCKED, OFFLINE = 0x21001, 0, 1, 2, 3
CPU_CHANGE = 0x1F003
MHZ = 62.5
#: Microseconds from Xen's switch to a woken vCPU until the guest's first record: the rest of
#: Xen's way out, the interrupt, the ticks that the guest slept over. On two CPUs QEMU executes a
#: piece of one, then a piece of the other.
FIRST_RECORD, ON_TWO_CPUS = 50.0, 1000.0
#: Microseconds for which dom0 holds the guests at a stop: 15 were seen, and once in a run 1670.
HELD = 2000.0


class Record(NamedTuple):
    counter: int
    event: int
    task: int
    argument: int


class Change(NamedTuple):
    """A vCPU's runstate changed."""

    counter: int
    domain: int
    old: int
    new: int


class Run:
    """A run's traces, decoded."""

    def __init__(self, path: Path, guest: str) -> None:
        self.path = path / "trace"
        self.guest = self.json(guest)
        raw = (self.path / f"{guest}.records").read_bytes()
        self.records = [Record(*words) for words in struct.iter_unpack("<QHHI", raw)]

    def json(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / f"{name}.json").read_text())
        return found

    def changes(self) -> list[Change]:
        """The changes of the guest's domain, in time order."""
        found = runstates((self.path / "xen.bin").read_bytes())
        return sorted(one for one in found if one.domain == self.guest["domain"])


def runstates(data: bytes) -> Iterator[Change]:
    at = 0
    while at < len(data):
        (header,) = struct.unpack_from("<I", data, at)
        stamp, extra, event = (8 if header >> 31 else 0), header >> 28 & 7, header & 0xFFFFFFF
        if event & ~0xFF0 == RUNSTATE and stamp:
            (counter, vcpu) = struct.unpack_from("<QI", data, at + 4)
            yield Change(counter, vcpu >> 16, event >> 8 & 3, event >> 4 & 3)
        at += 4 + stamp + 4 * extra


@pytest.fixture(
    scope="module",
    params=["arm32", pytest.param("arm64", marks=pytest.mark.xdist_group("arm64"))],
)
def periodic(world: World, request: pytest.FixtureRequest) -> Run:
    """The lab ``periodic``, as it ships, run once on each architecture."""
    said = json.loads(world.run("lab.run", "periodic", "--arch", request.param, "--json").out)
    assert said["verdict"] == "pass"
    return Run(Path(said["run"]), "periodic")


def test_both_traces_are_whole(periodic: Run) -> None:
    """No record was lost, the traces have their end, and the tasks have their names."""
    xen = periodic.json("xen")
    assert (xen["lost"], xen["complete"], xen["masks"]) == (0, True, ["sched"])
    assert (periodic.guest["lost"], periodic.guest["complete"]) == (0, True)
    names = {task["name"]: task["priority"] for task in periodic.guest["tasks"].values()}
    assert names["fast"] > names["middle"] > names["slow"]
    assert {"event", "IDLE"} <= set(names)


def test_the_trace_tells_what_the_console_tells(periodic: Run) -> None:
    """Each task has as many jobs and missed deadlines as the guest says itself."""
    console = (periodic.path.parent / "console/periodic.log").read_text()
    told = re.findall(
        r"task (\w+) period (\d+) us work \d+ us jobs (\d+) of (\d+) late (\d+)", console
    )
    assert len(told) == 4
    ids = {task["name"]: int(ident) for ident, task in periodic.guest["tasks"].items()}
    for name, period, done, expected, late in told:
        own = [record for record in periodic.records if record.task == ids[name]]
        ends = {record.argument: record.counter for record in own if record.event == JOB_END}
        released = {record.argument: record.counter for record in own if record.event == RELEASE}
        assert len(ends) == len(released) == int(done) == int(expected) > 0
        over = [n for n in ends if ends[n] - released[n] > int(period) * MHZ]
        # The task looks at the counter just before it writes the record.
        assert 0 <= len(over) - int(late) <= 1


def test_records_are_in_time_order(periodic: Run) -> None:
    """Except for releases: their counter is the time at which the job ought to begin."""
    counters = [record.counter for record in periodic.records if record.event != RELEASE]
    assert counters == sorted(counters)


def test_the_tick_count_never_goes_back(periodic: Run) -> None:
    """The tick does not run ahead either, when the idle task slept over ticks."""
    ticks = [record for record in periodic.records if record.event == TICK]
    counts = [record.argument for record in ticks]
    assert counts == sorted(counts)
    seconds = (ticks[-1].counter - ticks[0].counter) / (MHZ * 1e6)
    assert counts[-1] - counts[0] == pytest.approx(1000 * seconds, abs=2)


def agree_about_every_wake_up(run: Run, least: int, within: float) -> None:
    """At least so many times Xen wakes the vCPU, then lets it run, and then the guest's first
    record comes, within the bound. The guest writes nothing while it does not run."""
    stamps = [record.counter for record in run.records if record.event != RELEASE]
    changes = [one for one in run.changes() if stamps[0] < one.counter < stamps[-1]]
    for before, after in itertools.pairwise(changes):
        if before.new != RUNNING:
            first = bisect.bisect_left(stamps, before.counter)
            assert stamps[first] >= after.counter, "a record of a vCPU that did not run"
    # With several CPUs dom0 holds the guests at a stop: a vCPU that was just woken waits for it.
    held = [after.counter - before.counter for before, after in itertools.pairwise(changes)
            if before.new == OFFLINE]  # fmt: skip
    assert max(held, default=0) / MHZ <= HELD if within == ON_TWO_CPUS else not held
    free = [one for one in changes if OFFLINE not in (one.old, one.new)]
    delays = []
    for wake, run_, end in zip(free, free[1:], free[2:], strict=False):
        if (wake.old, wake.new) == (BLOCKED, RUNNABLE):
            assert (run_.old, run_.new) == (RUNNABLE, RUNNING)
            first = stamps[bisect.bisect_left(stamps, wake.counter)]
            assert run_.counter < first < end.counter, "no record before it slept again"
            delays.append((first - run_.counter) / MHZ)
    assert len(delays) >= least
    assert max(delays) <= within


def test_xen_and_the_guest_agree_about_every_wake_up(periodic: Run) -> None:
    agree_about_every_wake_up(periodic, 4000, FIRST_RECORD)


def test_clocks_are_related(periodic: Run) -> None:
    """dom0's counter is behind the physical one by a constant that is known to 100 us. Each ring of
    dom0's bell releases one job of the guest, at exactly that time. Xen's zero is known to 5 ms."""
    clock = periodic.json("clock")
    low, high = clock["counter_offset_dom0_within"]
    assert 0 < low <= high < low + 100 * MHZ
    earliest, latest = clock["xen_zero_within"]
    assert 0 <= earliest <= clock["xen_zero"] <= latest < earliest + 5_000 * MHZ
    rings = periodic.json("periodic.rings")["counter_dom0"]
    ident = next(i for i, t in periodic.guest["tasks"].items() if t["name"] == "event")
    own = [record for record in periodic.records if record.task == int(ident)]
    released = [record.counter for record in own if record.event == RELEASE]
    begun = [record.counter for record in own if record.event == JOB_BEGIN]
    assert len(rings) == len(released) == 1000
    assert all(low <= at - ring <= high for at, ring in zip(released, rings, strict=True))
    assert all(at < begin for at, begin in zip(released, begun, strict=True))


def test_a_guest_that_lies_hurts_nobody(world: World) -> None:
    """If a guest spoils its ring while it is read, dom0 and the neighbour go on, names stay
    harmless, and files stay small. If a ring of 4K overflows, it says how much is missing."""
    said = json.loads(world.run("lab.run", "liar", "--json").out)
    assert said["verdict"] == "pass"
    folder = Path(said["run"]) / "trace"
    assert (folder / "liar.records").stat().st_size < 16 << 20
    lies = json.loads((folder / "liar.json").read_text())
    assert lies["capacity"] == 4096
    assert len(lies["tasks"]) <= 64
    assert all(task["name"].isprintable() for task in lies["tasks"].values())
    burst = Run(Path(said["run"]), "burst")
    lost = sum(record.argument for record in burst.records if record.event == LOST)
    marks = [record.argument for record in burst.records if record.event == MARK]
    assert burst.guest["complete"] is True
    assert lost == burst.guest["lost"] > 0
    assert marks == sorted(marks)
    assert marks[-1] == 149_999


@pytest.mark.quick
def test_a_crashed_guest_is_read_to_the_end(world: World) -> None:
    """Its domain and memory stay, so the records up to the crash are there."""
    said = json.loads(world.run("lab.run", "crash-traced", "--json", status=1).out)
    assert "crashed" in said["reason"]
    run = Run(Path(said["run"]), "crash-traced")
    assert run.guest["complete"] is True
    assert any(task["name"] == "IDLE" for task in run.guest["tasks"].values())
    assert run.records[-1].counter > run.records[0].counter
    assert run.json("xen")["complete"] is True


def test_a_matrix_compares_what_ran(world: World) -> None:
    """A lab that fails is a cell with its reason, and table and picture are still made. The
    other lab has two CPUs: Xen and its guest agree about every wake-up there too."""
    said = json.loads(world.run("lab.matrix", "tiny", "--json", status=1).out)
    good, bad = said["outcome"]["cells"]
    assert (good["problem"], bad["tasks"]) == ("", [])
    assert "crashed" in bad["problem"]
    tasks = {task["name"]: task for task in good["tasks"]}
    assert set(tasks) == {"fast", "middle", "slow", "event"}
    assert tasks["fast"]["jitter_max"] > 0
    folder = Path(said["folder"])
    assert "task fast" in (folder / "picture.svg").read_text()
    assert (folder / "picture.png").stat().st_size > 10000
    assert "| one | good |" in (folder / "table.md").read_text()
    beside = Run(world.folder / "runs/beside/latest", "beside")
    assert beside.json("xen")["lost"] == beside.guest["lost"] == 0
    agree_about_every_wake_up(beside, 1500, ON_TWO_CPUS)


def test_a_traced_guest_can_be_injected_and_replaced(world: World) -> None:
    """It is traced also in a lab without traces. `lab.down` collects, and counts both lives."""
    world.run("lab.up", "hello")
    world.kept.add(world.id_of("hello"))
    try:
        world.run("lab.inject", "hello", "periodic")
        world.run("lab.inject", "hello", "periodic")
    finally:
        world.kept.clear()
        world.run("lab.down", "hello")
    run = Run(world.folder / "runs/hello/latest", "periodic")
    assert run.guest["complete"] is True
    assert run.guest["domain"] == 3
    assert sum(record.event == 6 and record.task == 1 for record in run.records) == 2
