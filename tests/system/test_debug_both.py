"""GDB in running labs of both architectures, each booted once."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator

import pytest

from system import debugged
from system.debugged import Twins
from system.mi_client import MiClient
from system.world import World

EVERY = ("left", "right")
#: The one that is debugged, where one is enough.
GUEST = "right"
#: A row of ``lab tasks``: task, state, priority, bytes in use, bytes never used, what it waits for.
ROW = re.compile(r"^\d+ +(\w[\w ]*?) +(\w+) +(\d) +(\d+|\?) +(\d+)(?: +(.*))?$", re.M)


@pytest.fixture(scope="module", params=["arm32", "arm64"])
def twins(
    world: World, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Twins]:
    """A lab with two guests of one program."""
    with debugged.running(world, request.param, tmp_path_factory.mktemp("twins")) as found:
        yield found


def test_a_breakpoint_counts_in_one_guest(twins: Twins) -> None:
    """Every hit is in the guest that was meant, with source lines and the argument's value; it can
    be stepped on from there. All guests go on afterwards."""
    said = twins.gdb("break count_up\n" + debugged.hits(4) + """
backtrace
print by
next
print counted > 0
lab domains
lab now
""", "--on", GUEST).out  # fmt: skip
    assert len(re.findall(rf"hit in {GUEST} vCPU 0: on PCPU \d, task worker", said)) == 4, said
    assert re.search(r"#0 +count_up \(by=(by@entry=)?1\) at app/main\.c:\d+", said), said
    assert re.search(r"#1 .*worker \(unused=.*\) at app/main\.c:\d+", said), said
    assert re.search(r"^\$2 = 1$", said, re.M), said
    assert re.search(rf"^{GUEST} +\d +0 +runs on \d", said, re.M), said
    for name in EVERY:
        twins.goes_on(name)


def test_stacks_are_as_the_guest_itself_counts_them(twins: Twins) -> None:
    """A word may have the fill's value by chance, so FreeRTOS may count up to one word less. It
    counts before GDB looks and after it: an interrupt may have used more of a stack meanwhile."""
    twins.goes_on(GUEST)
    before = twins.never_used(GUEST)
    said = twins.gdb("lab tasks\ninfo threads\n", "--on", GUEST).out
    rows = {row[0]: row for row in ROW.findall(said)}
    assert {"boss", "worker", "guard", "IDLE", "Tmr Svc"} <= rows.keys(), said
    word = debugged.WIDTHS[twins.arch]
    twins.goes_on(GUEST)
    for task, left in twins.never_used(GUEST).items():
        seen = int(rows[task][4])
        assert left <= seen < before[task] + word, (task, before, left, said)
    assert int(rows["Tmr Svc"][3]) > 0  # a stack that is not of the heap
    assert rows["worker"][5] == 'from queue "orders"', said
    assert rows["guard"][5] == 'from mutex "door"', said
    assert re.search(r"#\d+ .* in guard \(unused=.*\) at app/main\.c:\d+", said), said


def test_queues_and_timers(twins: Twins) -> None:
    said = twins.gdb("lab queues\nlab timers\nlab console\n", "--on", GUEST).out
    assert re.search(r'queue "orders" +[01] of 4 +[48] +worker \(receive\)', said), said
    assert re.search(r'mutex "door" +0 of 1 +0 +guard \(receive\)', said), said
    assert re.search(r"^bell +\d+ +\d+ +60000 +yes +rung$", said, re.M), said
    assert "left worker" in said


def test_a_watchpoint_counts_in_one_guest(twins: Twins) -> None:
    """Each hit is right behind the write, in the function that writes. None of the guest's own is
    left out, and the other guest goes on meanwhile, although it writes to the same address."""
    before = twins.log("left").count("left worker")
    said = twins.gdb("watch counted\n" + 3 * "continue\nbacktrace 1\nprint counted\n", "--on",
                     "right").out  # fmt: skip
    assert said.count("Hardware watchpoint 1: counted") == 4, said
    assert len(re.findall(r"^#0 +(?:0x\w+ in )?count_up \(by=", said, re.M)) == 3, said
    values = [int(one) for one in re.findall(r"^\$\d+ = (\d+)$", said, re.M)]
    assert values == [*range(values[0], values[0] + 3)], said
    assert twins.log("left").count("left worker") > before
    twins.goes_on("left")


def test_one_debugger_looks_at_all_guests(twins: Twins) -> None:
    """Xen has no symbols here: addresses only. Registers of what does not run are read only."""
    words = "".join(f"lab on {name}\nprint counted > 0\n" for name in EVERY)
    words += (
        "lab on xen\ninfo threads\nlab on dom0\nlab on everywhere\ninfo threads\nlab on rihgt\n"
    )
    said = twins.gdb(words, status=1)
    assert len(re.findall(r"^\$\d+ = 1$", said.out, re.M)) == 2, said
    assert "Xen has no symbols" in said.out
    assert len(re.findall(r"PCPU [01]: ", said.out)) >= 4, said
    assert "there is no domain rihgt now (did you mean right?)" in said.err + said.out


def test_an_editors_client_of_the_machine_interface(twins: Twins) -> None:
    """Breakpoints, threads, stack, variables, stepping, going on, and an interruption."""
    argv = [sys.executable, "-m", "lab", *twins.command("--on", GUEST, "--mi")]
    with MiClient(argv, str(twins.world.folder)) as gdb:
        gdb.line(r"\(gdb\)( *)")
        assert re.search(r'fullname="/[^"]*app/main\.c"', gdb.do("-break-insert count_up"))
        gdb.do("-exec-continue")
        assert re.match(r'reason="breakpoint-hit".*func="count_up"', gdb.stop())
        threads = gdb.do("-thread-info")
        assert f"{GUEST} vCPU 0: on PCPU" in threads
        assert "task guard: blocked from mutex" in threads
        assert 'func="worker"' in gdb.do("-stack-list-frames")
        assert 'name="by",value="1"' in gdb.do("-stack-list-arguments --all-values 0 0")
        assert 'value="' in gdb.do("-var-create v * counted")
        gdb.do("-exec-next")
        assert 'reason="end-stepping-range"' in gdb.stop()
        gdb.do("-break-delete 1")
        gdb.do("-exec-continue")
        gdb.do("-exec-interrupt")
        assert 'reason="signal-received"' in gdb.stop()
        gdb.do("-gdb-exit")
        assert gdb.gdb.wait(60) == 0
    twins.goes_on("right")


def test_a_debugger_that_is_killed_leaves_the_lab_going(twins: Twins) -> None:
    """Its breakpoint goes, too: it was in code that both guests execute."""
    argv = [sys.executable, "-m", "lab", *twins.command("--on", "right", "--mi")]
    with MiClient(argv, str(twins.world.folder)) as gdb:
        gdb.line(r"\(gdb\)( *)")
        gdb.do("-break-insert count_up")
        gdb.do("-exec-continue")
        gdb.stop()
        os.kill(gdb.gdb.pid, signal.SIGKILL)
        gdb.gdb.wait(60)
    for name in EVERY:
        twins.goes_on(name)
    said = twins.gdb("lab domains\n", "--on", "right").out
    assert re.search(r"^right +\d +0 ", said, re.M), said
