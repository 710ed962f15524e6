"""Guests that Xen boots from its device tree, beside dom0 and without one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lab import api
from lab.rundir import RunDir
from system.dom0less_labs import Labs
from system.world import World, until


@pytest.fixture
def labs(world: World) -> Labs:
    return Labs(world)


@pytest.mark.parametrize(
    "name",
    [
        "beside",
        "beside-pinned",
        "beside-wide",
        "alone",
        "alone-selftest",
        "alone-channel",
        "alone-linux",
    ],
)
def test_its_scenario_passes_with_a_digest_that_repeats(labs: Labs, name: str) -> None:
    """Steps in dom0 know the guest as any other; without dom0 the consoles suffice."""
    assert len({_digest(labs.run("lab.run", name).out) for _ in range(2)}) == 1


@pytest.mark.parametrize("name", ["beside", "beside-wide", "alone-selftest", "alone-wide"])
def test_its_scenario_passes_on_the_hosts_clock(labs: Labs, name: str) -> None:
    """Booted, and out of a template. Each CPU's guests wake up there: Xen's timers are set anew."""
    err = [labs.run("lab.run", name, "--clock", "host").err for _ in range(2)][-1]
    assert "from template" in err


def test_a_template_without_dom0(labs: Labs) -> None:
    """On the host's clock the guests run in it, and nothing that they said is lost; copies come
    out of it. Under the virtual clock a run out of one is the same as one that booted."""
    labs.run("lab.up", "alone-wide")
    booted = _first_lines(labs, "alone-wide")
    labs.run("lab.down", "alone-wide")
    assert "from template" in labs.run("lab.up", "alone-wide").err
    try:
        assert _first_lines(labs, "alone-wide") == booted
    finally:
        labs.run("lab.down", "alone-wide")
    labs.run("lab.up", "alone-wide", "--count", "2")
    for name in ("alone-wide-1", "alone-wide-2"):
        _log(labs, name, "early2", "task 1: hello")
    labs.run("lab.down", "alone-wide-*")
    runs = [labs.run("lab.run", "alone-wide", *more) for more in (("--cold",), (), ())]
    assert len({_digest(run.out) for run in runs}) == 1
    assert ["from template" in run.err for run in (runs[0], runs[-1])] == [False, True]


def _first_lines(labs: Labs, name: str) -> list[str]:
    """What each guest says before its tasks run, whose order depends on the host."""
    logs = [_log(labs, name, guest, "task 2: hello") for guest in ("early", "early2")]
    return [line for log in logs for line in log.splitlines()[:2]]


def _log(labs: Labs, name: str, guest: str, words: str) -> str:
    """What a guest has said, as soon as these words are in it."""
    logs: list[str] = []

    def says() -> bool:
        logs.append(labs.run("lab.logs", name, "--on", guest).out)
        return words in logs[-1]

    until(f"{guest} of {name} says {words}", says, 60)
    return logs[-1]


def test_memory_of_its_own_choice(labs: Labs) -> None:
    """At an odd MiB, and where guest and machine have the same addresses (also GIC and UART)."""
    labs.run("lab.run", "alone-static")


def test_messages_through_shared_memory(labs: Labs) -> None:
    """Between a guest that sees its memory where it lies in the machine, and one that does not."""
    labs.run("lab.run", "alone-messages")


def test_its_trace_is_complete(labs: Labs) -> None:
    labs.run("lab.run", "beside-traced")
    trace = labs.folder / "runs/beside-traced/latest/trace/early-periodic.json"
    assert json.loads(Path(trace).read_text())["complete"]


def test_its_end_is_told_by_its_name(labs: Labs) -> None:
    """It ended before dom0 was there."""
    assert "guest early-crash powered off" in labs.run("lab.run", "beside-ended", status=1).out


def test_time_goes_on_when_all_guests_have_ended(labs: Labs) -> None:
    """No timer is set in the machine then, and its clock would stand still."""
    out = labs.run("lab.run", "alone-ended", status=1).out
    assert "was not seen on the console of early-crash within 5s" in out


def test_a_flood_ends_the_run(labs: Labs) -> None:
    """On both clocks, and under the virtual one at the same byte each time."""
    env = {"LAB_CONSOLE_LIMIT": "64K"}
    digests = set()
    for clock in ("host", "virtual", "virtual"):
        out = labs.run("lab.run", "alone-flood", "--clock", clock, env=env, status=1).out
        assert "flood, whose console Xen's own carries, printed more than 64K" in out
        assert "[guest]" in out
        digests |= {_digest(out)} if clock == "virtual" else set()
    assert len(digests) == 1


def test_a_bank_that_is_too_small(labs: Labs) -> None:
    err = labs.run("lab.run", "alone-small", status=2).err
    assert re.search(r"labs\.yaml:\d+:\d+: 'memory': 4M is too little", err)


def test_without_dom0_what_needs_it_says_so(labs: Labs) -> None:
    labs.run("lab.up", "alone")
    try:
        assert re.search(r"early +1 +16 ", labs.run("lab.status", "alone").out)
        for words in (("lab.exec", "alone", "xl list"), ("lab.inject", "alone", "early2")):
            err = labs.run(*words, status=2).err
            assert "this needs dom0" in err
            assert "guests …" not in err  # nothing was prepared
        assert "hello from FreeRTOS" in labs.run("lab.logs", "alone", "--on", "early").out
    finally:
        labs.run("lab.down", "alone")


@pytest.mark.parametrize("name", ["alone", "beside"])
def test_what_is_typed_reaches_the_guest_and_no_other(labs: Labs, name: str) -> None:
    """More than the UART's FIFO holds at once; afterwards Xen has its input again."""
    with api.lab(name, api.Context(labs.folder / "labs.yaml")) as lab:
        guest = lab.guest("early")
        guest.expect("alive at tick")
        for text in ("a line that is longer than sixteen bytes", "x"):
            guest.send(f"{text}\r")
            guest.expect(f"you typed: {text}")
        guest.expect("alive at tick")
        consoles = {name: log.read_text() for name, log in RunDir(lab.run_dir).consoles().items()}
    assert {name for name, text in consoles.items() if "you typed" in text} == {"early", "xen"}
    switches = [line for line in consoles["xen"].splitlines() if "*** Serial input to" in line]
    assert "Serial input to Xen" in switches[-1]


def _digest(said: str) -> str:
    found = re.search(r"^digest: (\w+)", said, re.MULTILINE)
    assert found, said
    return found[1]
