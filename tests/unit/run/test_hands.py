"""What steps do to a lab, with a dom0 whose answers the test sets."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from lab import plan as planning
from lab import rundir
from lab.dom0.agent import Endless, ProgramResult
from lab.errors import Dom0Error, GuestError, LabError, ToolstackError, UsageError
from lab.machine import console_files, shared_console, shared_input
from lab.model import Act, Clock, Domain, GuestSpec, HypervisorSpec, Lab, Plan, Prebuilt, Step
from lab.run import hands
from lab.run.hands import Hands
from lab.rundir import LabDir

T = TypeVar("T")
Answer = Callable[[list[str]], tuple[int, bytes] | LabError]


class Session:
    """A session whose dom0 gives the set answers. ``told``: the commands that it got."""

    def __init__(self, folder: Path, answer: Answer, file: bytes = b"") -> None:
        self.run = rundir.new_run(folder / "runs", "one")
        self.lab = LabDir(folder / "live")
        self.lab.make()
        self.told: list[list[str]] = []
        self.at_stop: Any = SimpleNamespace(now=0.0)
        self._answer = answer
        self._file = file

    async def execute(self, argv: list[str], within: float) -> ProgramResult:
        del within
        self.told.append(argv)
        answer = self._answer(argv)
        if isinstance(answer, LabError):
            raise answer
        return ProgramResult(tuple(argv), answer[0], answer[1], b"")

    async def domains(self) -> list[Domain]:
        return [Domain("Domain-0", 0, 0, 1, "r-----", 0.0)]

    @contextlib.asynccontextmanager
    async def dom0(self) -> AsyncIterator[Session]:
        yield self

    async def read_file(self, path: str, largest: int) -> bytes:
        assert path.startswith("/")
        return self._file[:largest]

    async def guarded(self, step: Awaitable[T]) -> T:
        return await step


def does(session: Session, step: Step, clock: Clock = Clock.HOST) -> str:
    lab: Any = session
    plan = planning.plan(Lab("one", HypervisorSpec("stock"), clock=clock))
    nothing: Any = None
    return asyncio.run(Hands(lab, plan, nothing)(step))


def said(status: int, out: bytes = b"") -> Answer:
    return lambda _: (status, out)


EXEC = Step(Act.EXEC, text="xl list 'a b'", within=2.5)


def test_a_command_and_its_words(tmp_path: Path) -> None:
    """A command is split without a shell. Its last lines are harmless to show."""
    session = Session(tmp_path, said(0, b"one\x1b[2J\ntwo\n"))
    assert does(session, EXEC) == "one\\x1b[2J\ntwo"
    assert session.told == [["xl", "list", "a b"]]


@pytest.mark.parametrize(
    ("step", "answer", "words"),
    [
        (EXEC, said(1, b"why\n"), "it ended with status 1, not with status 0"),
        (EXEC, said(-9), "it ended with signal 9, not with status 0"),
        (Step(Act.EXEC, text="x", output="a.c"), said(0, b"abc\n"), "'a.c' is not in its output"),
        (Step(Act.EXEC, text="x", output="^b", regex=True), said(0, b"ab\n"), "a match of '^b'"),
        (EXEC, lambda _: UsageError("dom0 has no program"), "dom0 has no program 'xl'"),
        (EXEC, lambda _: Endless(["xl"], 2.5), "'xl' did not end within 2.5s"),
    ],
)
def test_a_command_that_does_not_do_it(
    tmp_path: Path, step: Step, answer: Answer, words: str
) -> None:
    with pytest.raises(GuestError) as caught:
        does(Session(tmp_path, answer), step)
    assert words in caught.value.message


def test_a_dom0_that_hangs_is_no_guests_fault(tmp_path: Path) -> None:
    hung = Dom0Error("dom0's agent: no end of guest-exec within 10 s")
    with pytest.raises(Dom0Error):
        does(Session(tmp_path, lambda _: hung), EXEC)


def test_patterns_are_sought_line_by_line(tmp_path: Path) -> None:
    step = Step(Act.EXEC, text="x", output="^two$", regex=True, status=3)
    assert does(Session(tmp_path, said(3, b"one\ntwo\n")), step)


def test_under_the_virtual_clock_dom0_ends_it(tmp_path: Path) -> None:
    """A command has whole seconds of virtual time. If it was killed then, it was late."""
    session = Session(tmp_path, said(0))
    does(session, EXEC, Clock.VIRTUAL)
    assert session.told[0][:5] == ["busybox", "timeout", "-s", "KILL", "3"]

    def late(_: list[str]) -> tuple[int, bytes]:
        session.at_stop.now += 3.1
        return -9, b""

    session = Session(tmp_path / "2", late)
    with pytest.raises(GuestError, match=r"'xl' did not end within 2\.5s"):
        does(session, EXEC, Clock.VIRTUAL)


@pytest.mark.parametrize("enter", [True, False])
def test_typing_goes_through_dom0(tmp_path: Path, enter: bool) -> None:
    """The text is an argument, and never run as a command."""
    session = Session(tmp_path, said(0))
    does(session, Step(Act.TYPE, "g", "$(reboot) ' \\", enter=enter))
    (argv,) = session.told
    assert argv[-2:] == ["g", "$(reboot) ' \\" + ("\r" if enter else "")]
    assert "reboot" not in argv[2]


@pytest.mark.parametrize(
    ("vuart", "on", "wanted"),
    [
        (True, "g-vuart0", ("/vuart/0/tty", "g")),
        (True, "g", ("/console/tty", "g")),
        (False, "g", ("/console/tty", "g")),
    ],
)
def test_typing_on_a_uart(tmp_path: Path, vuart: bool, on: str, wanted: tuple[str, str]) -> None:
    """It is the domain's second console."""
    session = Session(tmp_path, said(0))
    guest = GuestSpec("g", Prebuilt(Path("/k")), vuart=vuart)
    plan = planning.plan(Lab("one", HypervisorSpec("stock"), guests=(guest,)))
    given: Any = session
    nothing: Any = None
    asyncio.run(Hands(given, plan, nothing)(Step(Act.TYPE, on, "x")))
    (argv,) = session.told
    assert argv[4:] == [wanted[1], "x\r"]
    assert wanted[0] in argv[2]


def test_typing_at_nobody(tmp_path: Path) -> None:
    with pytest.raises(GuestError, match="there is no domain g"):
        does(Session(tmp_path, said(3)), Step(Act.TYPE, "g", "x"))


def test_typing_on_dom0(tmp_path: Path) -> None:
    """The text goes to the machine's serial line. If nothing reads it, that is an error."""
    session = Session(tmp_path, said(0))
    with pytest.raises(GuestError, match="cannot type on the console of dom0"):
        does(session, Step(Act.TYPE, "dom0", "ls"))
    console_files.lay_one(session.lab.path, "dom0", session.run.console("dom0"))
    fifo = os.open(console_files.input_of(session.lab.path, "dom0"), os.O_RDONLY | os.O_NONBLOCK)
    does(session, Step(Act.TYPE, "dom0", "ls"))
    assert os.read(fifo, 10) == b"ls\r"
    os.close(fifo)


def test_collecting(tmp_path: Path) -> None:
    session = Session(tmp_path, said(0, b"5\n"), b"bytes")
    does(session, Step(Act.COLLECT, text="/etc/x", name="y"))
    assert (session.run.collected_dir / "y").read_bytes() == b"bytes"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (said(1), "dom0 has no file '/etc/x'"),
        (said(0, b"nonsense"), "dom0 has no file '/etc/x'"),
        (said(0, b"%d\n" % (hands.LARGEST + 1)), "more than 16 MiB"),
    ],
)
def test_what_cannot_be_collected(tmp_path: Path, answer: Answer, words: str) -> None:
    session = Session(tmp_path, answer, b"x")
    with pytest.raises(GuestError, match=words):
        does(session, Step(Act.COLLECT, text="/etc/x", name="y"))
    assert not session.run.collected_dir.exists()


@pytest.mark.parametrize(
    ("act", "argv"),
    [
        (Act.DESTROY, ["lab-guest", "destroy", "g"]),
        (Act.PAUSE, ["xl", "pause", "g"]),
        (Act.UNPAUSE, ["xl", "unpause", "g"]),
    ],
)
def test_what_is_done_to_a_domain(tmp_path: Path, act: Act, argv: Sequence[str]) -> None:
    session = Session(tmp_path, said(0))
    does(session, Step(act, "g"))
    assert session.told == [argv]
    with pytest.raises(ToolstackError, match=f"xl could not {act} guest g") as caught:
        does(Session(tmp_path / "2", said(1, b"no such domain\n")), Step(act, "g"))
    assert caught.value.tail == "no such domain"


def test_only_what_is_there_is_restarted(tmp_path: Path) -> None:
    with pytest.raises(ToolstackError, match="there is no domain g to restart"):
        does(Session(tmp_path, said(0)), Step(Act.RESTART, "g"))


def with_booted(*, dom0: bool = True) -> Plan:
    """A lab with a guest that Xen boots."""
    early = GuestSpec("early", Prebuilt(Path("/k")), by_xen=True)
    step = Step(Act.TYPE, "early", "x", line=7)
    lab = Lab("one", HypervisorSpec("stock"), guests=(early,), steps=(step,), without_dom0=not dom0)
    return planning.plan(lab)


def test_typing_to_a_guest_that_xen_boots(tmp_path: Path) -> None:
    """At a stop of the machine, piece by piece; between them it runs for a moment."""
    session: Any = Session(tmp_path, said(0))
    shared_console.lay(session.run.console_dir, {1: "early"}, alone=False)
    console_files.lay_one(session.lab.path, "xen", session.run.console("xen"))
    fifo = os.open(console_files.input_of(session.lab.path, "xen"), os.O_RDONLY | os.O_NONBLOCK)
    given: list[bytes] = []

    async def told(word: str) -> None:
        assert word == "query-status"
        given.append(os.read(fifo, 100))

    async def sleep_until(now: float, within: float) -> None:
        del within
        session.at_stop.now = now

    @contextlib.asynccontextmanager
    async def control() -> AsyncIterator[Any]:
        yield SimpleNamespace(execute=told)

    session.at_stop.sleep_until = sleep_until
    session.sockets = SimpleNamespace(control=control)
    plan = replace_clock(with_booted())
    nothing: Any = None
    asyncio.run(Hands(session, plan, nothing)(Step(Act.TYPE, "early", "longer than it")))
    os.close(fifo)
    keys = shared_input.SWITCH
    assert b"".join(one.removeprefix(2 * keys).removesuffix(keys) for one in given) == (
        b"longer than it\r"
    )
    assert all(len(one) <= shared_input.FIFO for one in given)
    assert session.at_stop.now == pytest.approx(hands.TAKEN * len(given))
    assert session.told == []


def replace_clock(plan: Plan) -> Plan:
    return replace(plan, machine=replace(plan.machine, clock=Clock.VIRTUAL))


def test_without_dom0_typing_is_for_the_hosts_clock() -> None:
    """Under the virtual clock nothing stops the machine at a moment that is always the same."""
    hands.refuse(with_booted(dom0=False))
    hands.refuse(replace_clock(with_booted()))
    with pytest.raises(UsageError, match=r"types on early \(labs.yaml:7\), which the virtual"):
        hands.refuse(replace_clock(with_booted(dom0=False)))
