"""Which stops GDB hears of, and what it sees at them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from debug.conversation import answers
from debug.fake_stub import GUEST_MODE, HYP_MODE, FakeStub
from debug.test_domains import GUEST, TWIN, with_guests
from lab.debug.monitor import LabMonitor
from lab.debug.packets import INTERRUPT
from lab.debug.rewinding import Stop
from lab.errors import UsageError

BREAK = 0x4000_9624
AT = {"pc": BREAK, "cpsr": GUEST_MODE}


def talk(stub: FakeStub, *packets: bytes, on: str = "hello") -> list[bytes]:
    """GDB's packets, one after the other; the answers."""
    return answers(with_guests(stub), on, *packets)


def question(what: str, **given: Any) -> bytes:
    return f"qLab.{what}:{json.dumps(given).encode().hex()}".encode()


def answer(packet: bytes) -> Any:
    return json.loads(bytes.fromhex(packet.decode()))


def test_a_hit_in_the_twin_goes_unseen() -> None:
    """Two guests of one binary: QEMU reports both, GDB hears of the one that was meant."""
    stub = FakeStub()
    stub.stops = [
        (b"T05thread:01;", AT | {"VTTBR": TWIN}),
        (b"T05thread:01;", AT | {"VTTBR": GUEST}),
    ]
    said = talk(stub, b"Z0,%x,4" % BREAK, b"vCont;c")
    assert said == [b"OK", b"T05thread:100;"]
    running = [one for one in stub.sent if one.startswith(b"vCont")]
    assert running == [b"vCont;c", b"vCont;s:1", b"vCont;c"]


def test_xen_does_not_count_as_the_guest_whose_tables_it_keeps() -> None:
    stub = FakeStub()
    stub.stops = [
        (b"T05thread:01;", AT | {"VTTBR": GUEST, "cpsr": HYP_MODE}),
        (b"T05thread:01;", AT | {"VTTBR": GUEST}),
    ]
    assert talk(stub, b"Z0,%x,4" % BREAK, b"vCont;c")[1] == b"T05thread:100;"


def test_a_breakpoint_of_xens_counts_in_xen() -> None:
    stub = FakeStub()
    stub.stops = [(b"T05thread:01;", {"pc": 0x26_0000, "cpsr": HYP_MODE, "VTTBR": TWIN})]
    assert talk(stub, b"Z0,260000,4", b"vCont;c", on="xen")[1] == b"T05thread:1;"


def test_a_breakpoint_stays_where_it_was_set() -> None:
    """One that was set in the twin counts there, though GDB looks at hello now."""
    stub = FakeStub()
    stub.stops = [
        (b"T05thread:01;", AT | {"VTTBR": GUEST}),
        (b"T05thread:01;", AT | {"VTTBR": TWIN}),
    ]
    table = question("scopes", table={str(BREAK): ["hello2"]})
    said = talk(stub, table, b"Z0,%x,4" % BREAK, b"vCont;c")
    assert said[2] == b"T05thread:100;"  # hello's vCPU, which does not run there
    assert stub.sent.count(b"vCont;s:1") == 1


def test_a_watchpoint_counts_in_its_domain_alone() -> None:
    stub = FakeStub()
    stub.stops = [
        (b"T05thread:01;watch:40024020;", AT | {"VTTBR": TWIN, "pc": 0x4000_1000}),
        (b"T05thread:01;watch:40024020;", AT | {"VTTBR": GUEST, "pc": 0x4000_1000}),
    ]
    said = talk(stub, b"Z2,40024020,4", b"vCont;c")
    assert said[1] == b"T05watch:40024020;thread:100;"
    twin_passed = stub.sent[stub.sent.index(b"z2,40024020,4") :][:3]
    assert twin_passed == [b"z2,40024020,4", b"vCont;s:1", b"Z2,40024020,4"]


def watched_on_two(second: dict[str, int], kept: bytes = b"") -> FakeStub:
    """What a machine is asked when one of two PCPUs hits a watchpoint, and the ``second`` one has
    registers like these."""
    stub = FakeStub(2)
    stub.pcpus[1] |= second
    stub.kept = {2: kept} if kept else {}
    stub.stops = [(b"T05thread:01;watch:40024020;", AT | {"VTTBR": GUEST})]
    assert talk(stub, b"Z2,40024020,4", b"vCont;c")[1] == b"T05watch:40024020;thread:100;"
    return stub


def test_a_hit_that_qemu_keeps_for_itself_is_forgotten_and_undone() -> None:
    """Two PCPUs hit in the same moment. The step that makes QEMU forget is undone."""
    stub = watched_on_two(AT | {"VTTBR": TWIN}, b"watch:40024020;")
    after = stub.sent[stub.sent.index(b"vCont;s:2") :]
    assert [one for one in after if one[:1] == b"G"] == [b"G" + b"00" * 68]
    assert after.index(b"Hg2") < after.index(b"G" + b"00" * 68)


def test_a_pcpu_without_such_a_hit_makes_its_step() -> None:
    stub = watched_on_two(AT | {"VTTBR": TWIN})
    assert b"vCont;s:2" in stub.sent
    assert not [one for one in stub.sent if one[:1] == b"G"]


@pytest.mark.parametrize(("moved", "times"), [(0, 2), (4, 1)])
def test_a_pcpu_that_is_stopped_again_where_it_stands_goes_on(moved: int, times: int) -> None:
    """No breakpoint is there. If it has moved, the stop is reported."""
    stub = FakeStub(2)
    stub.pcpus[1] |= AT | {"VTTBR": GUEST, "pc": 0x4000_1000}
    stub.stops = [
        (b"T05thread:02;", AT | {"VTTBR": GUEST, "pc": 0x4000_1000 + moved}),
        (b"T05thread:02;watch:40024020;", AT | {"VTTBR": GUEST, "pc": 0x4000_1000}),
    ]
    said = talk(stub, b"Z2,40024020,4", b"vCont;c")[1]
    assert (b"watch:40024020;" in said) == (moved == 0)
    assert stub.sent.count(b"vCont;c") == times


def test_a_pcpu_that_waits_is_let_alone() -> None:
    """Its step would not end. What Xen executes otherwise is stepped: it may be watched, too."""
    xen = {"pc": 0x26_0000, "cpsr": HYP_MODE}
    assert b"vCont;s:2" in watched_on_two(xen).sent
    stub = FakeStub(2)
    stub.lay(0x25_FFFC, b"\x03\xf0\x20\xe3")  # wfi
    stub.pcpus[1] |= xen
    stub.stops = [(b"T05thread:01;watch:40024020;", AT | {"VTTBR": GUEST})]
    talk(stub, b"Z2,40024020,4", b"vCont;c")
    assert b"vCont;s:2" not in stub.sent


@pytest.mark.parametrize("go_on", [b"vCont;c", b"vCont;s:100"])
def test_an_interrupt_in_the_moment_before_the_machine_runs(go_on: bytes) -> None:
    """GDB's user believes that it runs already. One that a stop has crossed is over."""

    def stop(*packets: bytes) -> bytes:
        stub = FakeStub()
        stub.pcpus[0] |= AT | {"VTTBR": GUEST}
        stub.stops = [(b"T05thread:01;", AT)]
        return talk(stub, *packets)[-1]

    assert stop(b"qC", INTERRUPT, go_on) == b"T02thread:100;"
    assert stop(INTERRUPT, b"qC", go_on) == b"T05thread:100;"
    assert stop(b"qC", INTERRUPT, go_on, go_on) == b"T05thread:100;"


def test_detaching_removes_every_breakpoint() -> None:
    stub = FakeStub()
    assert talk(stub, b"Z0,%x,4" % BREAK, b"Z1,40008000,4", b"D") == [b"OK", b"OK", b"OK"]
    assert {one for one in stub.sent if one[:1] == b"z"} == {b"z0,%x,4" % BREAK, b"z1,40008000,4"}


def test_gdb_that_dies_leaves_no_breakpoint_and_stops_the_machine_for_it() -> None:
    stub = FakeStub()
    talk(stub, b"Z0,%x,4" % BREAK, b"vCont;c")  # then the connection ends
    assert b"z0,%x,4" % BREAK in stub.sent


def test_the_end_of_the_machine_is_the_end_of_the_program() -> None:
    stub = FakeStub()
    stub.stops = [(b"W00", {})]
    assert talk(stub, b"vCont;c") == [b"W00"]


def test_tasks_are_threads_with_numbers_that_stay() -> None:
    task = {"key": 0x40021000, "name": "idle", "state": "ready", "registers": {"pc": 0x40008000}}
    other = task | {"key": 0x40022000, "name": "work"}
    said = talk(
        FakeStub(),
        question("tasks", tasks=[task, other], running="main"),
        question("tasks", tasks=[other], running="idle"),
        b"qfThreadInfo", b"qThreadExtraInfo,1001", b"Hg1001", b"g",
    )  # fmt: skip
    assert answer(said[0]) == {"threads": [0x1000, 0x1001]}
    assert answer(said[1]) == {"threads": [0x1001]}
    assert said[2] == b"m100,1001"
    assert bytes.fromhex(said[3].decode()) == b"task work: ready"
    assert said[5][8 * 15 : 8 * 16] == b"00800040"  # pc


def test_a_question_that_makes_no_sense_is_refused_in_words() -> None:
    said = talk(FakeStub(), b"qLab.nothing:", b"qLab.on:zz", question("on", name="nobody"))
    assert all("error" in answer(one) for one in said)


def test_monitor_knows_the_domains_and_the_places() -> None:
    words = [b"qRcmd," + one.hex().encode() for one in (b"domains", b"on xen", b"what")]
    shown = [bytes.fromhex(one.decode()).decode() for one in talk(FakeStub(), *words)]
    assert "hello2" in shown[0]
    assert shown[1] == "breakpoints count in xen now\n"
    assert "monitor help" in shown[2]


def test_where_the_domains_are_is_told_once_a_stop() -> None:
    async def go() -> tuple[LabMonitor, int]:
        stub = FakeStub()
        monitor = await with_guests(stub)
        await monitor.find()
        first = len(stub.sent)
        await monitor.find()
        return monitor, len(stub.sent) - first

    monitor, packets = asyncio.run(go())
    assert packets == 0
    monitor.view.moved()
    assert not monitor.view.fresh


def test_a_step_of_a_vcpu_that_waits_begins_when_it_runs_again() -> None:
    """The machine runs to where the vCPU goes on, and makes the step there."""
    stub = FakeStub()
    goes_on = {"pc": 0x4000_C8D0, "cpsr": GUEST_MODE, "VTTBR": GUEST}
    stub.stops = [(b"T05thread:01;", goes_on)]
    assert talk(stub, b"vCont;s:100") == [b"T05thread:100;"]
    moved = [one for one in stub.sent if one[:2] in (b"Z1", b"z1") or one.startswith(b"vCont")]
    assert moved == [b"Z1,4000c8d0,4", b"vCont;c", b"z1,4000c8d0,4", b"vCont;s:1"]


class Travelling:
    """A run that is executed again. ``refused``: why it cannot go back; else it finds ``found``."""

    def __init__(self, refused: str = "", found: Stop | None = None) -> None:
        self.refused, self.found = refused, found
        self.asked: list[bytes] = []

    async def go_on(self, wish: asyncio.Event) -> int:
        raise AssertionError(wish)

    async def moved(self) -> None: ...

    async def into_the_past(self, wish: asyncio.Event) -> Any:
        del wish
        if self.refused:
            raise UsageError(self.refused, hint="lab goto TIME")
        return self

    async def move(self, packet: bytes, thread: int, wish: asyncio.Event) -> Stop | None:
        del thread, wish
        self.asked.append(packet)
        return self.found


def backwards(travelling: Travelling, *packets: bytes) -> list[bytes]:
    """The answers to GDB's packets in such a run."""

    async def made() -> LabMonitor:
        monitor = await with_guests(FakeStub())
        monitor.proxy.runner.travel = travelling
        return monitor

    return answers(made(), "hello", *packets)


def test_gdb_is_told_that_a_run_can_go_back_and_a_lab_cannot() -> None:
    assert b"ReverseStep+;ReverseContinue+" in backwards(Travelling(), b"qSupported:hwbreak+")[0]
    assert b"Reverse" not in talk(FakeStub(), b"qSupported:hwbreak+")[0]


def test_a_step_back_that_is_refused_says_why_and_stays() -> None:
    words, stop = backwards(Travelling("two CPUs"), b"bs")
    assert bytes.fromhex(words[1:].decode()) == b"two CPUs\n(lab goto TIME)\n"
    assert stop == b"T05thread:100;"


def test_where_the_run_begins_or_ends_gdb_is_told_so() -> None:
    said = backwards(Travelling(), b"bc", b"vCont;c")
    assert said == [b"T05replaylog:begin;thread:100;", b"T05replaylog:end;thread:100;"]


def test_what_was_can_be_looked_at_but_not_changed() -> None:
    """Breakpoints are set when the replay runs, and a hit is reported as QEMU did."""
    run = Travelling(found=Stop(7, b"T05thread:01;watch:4000;"))
    said = backwards(run, b"bs", b"M40009624,1:00", b"P0=00000000", b"Z2,4000,4", b"bc")
    assert [one[:1] for one in said[1:3]] == [b"E", b"E"]
    assert b"what was cannot be changed" in said[1]
    assert said[3:] == [b"OK", b"T05watch:4000;thread:100;"]
    assert run.asked == [b"bs", b"bc"]
