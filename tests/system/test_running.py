"""Everything that can be done with a running lab. One boot serves all tests."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from system.conftest import write_labs
from system.guests import write_linux
from system.world import World, until


def state_of(up: World, guest: str) -> str:
    """The state letters of a domain."""
    said = json.loads(up.run("lab.status", "shared", "--json").out)
    return str(next(one["state"] for one in said["domains"] if one["name"] == guest))


def test_status_shows_the_domains(up: World) -> None:
    """`lab.status --json` has Domain-0 and both guests, with ids and memory."""
    said = json.loads(up.run("lab.status", "shared", "--json").out)
    assert said["state"] == "guests"
    assert said["running"]
    assert said["guests"] == ["hello", "hello2"]
    assert said["uptime"] > 0
    found = {one["name"]: one for one in said["domains"]}
    assert set(found) >= {"Domain-0", "hello", "hello2"}
    assert found["Domain-0"]["id"] == 0
    assert found["hello"]["memory"] == 16 << 20


def test_list_says_what_runs(up: World) -> None:
    """`lab.list` shows every lab of labs.yaml, and which of them run."""
    states = {one["name"]: one["state"] for one in json.loads(up.run("lab.list", "--json").out)}
    assert states["shared"] == "guests"
    assert states["hello"] == "off"


def test_exec_prints_what_the_command_prints(up: World) -> None:
    """`lab.exec` prints xl's own table."""
    said = up.run("lab.exec", "shared", "xl list")
    assert re.search(r"^Domain-0 +0 ", said.out, re.MULTILINE)
    assert re.search(r"^hello2 +\d+ ", said.out, re.MULTILINE)


def test_exec_ends_as_the_command_ends(up: World) -> None:
    """The exit status is the command's own, and so are its outputs."""
    said = up.run("lab.exec", "shared", "sh -c 'echo out; echo err >&2; exit 7'", status=7)
    assert (said.out, said.err.strip()) == ("out\n", "err")


def test_exec_of_what_dom0_lacks(up: World) -> None:
    """A program that dom0 does not have is a usage error that names it."""
    assert "nosuch" in up.run("lab.exec", "shared", "nosuch", status=2).err


def test_exec_has_an_end(up: World) -> None:
    """A command that takes too long is killed; the lab can be used at once."""
    line = "sh -c 'echo begun; sleep 31 & sleep 32'"
    said = up.run("lab.exec", "shared", line, "--timeout", "1", status=4)
    assert "begun" in said.err
    left = up.run("lab.exec", "shared", "ps").out
    assert "sleep 3" not in left, "it was killed with its children"
    assert "within 1 s" in said.err
    assert up.run("lab.exec", "shared", "echo well").out == "well\n"


def test_logs_of_a_guest(up: World) -> None:
    """A guest's log has the lines that its FreeRTOS tasks printed."""
    up.says("shared", "hello", "task 2: hello from FreeRTOS")
    said = up.run("lab.logs", "shared", "--on", "hello").out
    assert "task 1: hello from FreeRTOS" in said
    assert "task 2: hello from FreeRTOS" in said


def test_logs_of_all_are_in_order(up: World) -> None:
    """The merged log has every console, and its times never go back."""
    said = up.run("lab.logs", "shared").out
    for console in ("xen", "dom0", "hello", "hello2"):
        assert re.search(rf"^\[ *\d+\.\d+\] {console} +\|", said, re.MULTILINE)
    times = [float(found) for found in re.findall(r"^\[ *(\d+\.\d+)\]", said, re.MULTILINE)]
    assert times == sorted(times)


def test_a_second_up_is_refused(up: World) -> None:
    """`lab.up` of a running lab says so, and leaves it alone."""
    assert "runs already" in up.run("lab.up", "shared", status=2).err
    assert "r" in state_of(up, "Domain-0")


def test_inject_replaces_a_guest(up: World) -> None:
    """The self-test is injected, and injected again: a new domain of the same name."""
    idents = []
    for _ in range(2):
        said = json.loads(up.run("lab.inject", "shared", "selftest", "--json").out)
        idents += [one["id"] for one in said["domains"] if one["name"] == "selftest"]
    assert len(idents) == 2
    assert idents[0] < idents[1]
    log = Path(said["run"], "console", "selftest.log")
    until("the self-test is through", lambda: b"selftest: PASS" in log.read_bytes(), 90)


def test_what_xl_refuses(up: World) -> None:
    """If xl refuses a guest, that is the toolstack's failure, with xl's own message; dom0 keeps
    running."""
    said = up.run("lab.inject", "shared", "capped", status=5)
    assert "[toolstack]" in said.err
    assert "xl" in said.err
    assert "-" in state_of(up, "hello")


def test_what_is_no_kernel_is_refused(up: World) -> None:
    """A guest without a valid kernel never reaches dom0."""
    said = up.run("lab.inject", "shared", "junk", status=2)
    assert "labs.yaml:" in said.err
    assert "'junk.bin' is a text file" in said.err


def test_what_does_not_compile_is_refused(up: World) -> None:
    """If a guest does not compile, that is the guest's failure, with the compiler's messages."""
    said = up.run("lab.inject", "shared", "broken", status=1)
    assert "main.c" in said.err
    assert "oops" in said.err


def test_a_project_of_the_users_own(up: World) -> None:
    """A folder with its own Makefile is built from a copy and runs as a domain."""
    before = sorted(path.name for path in (up.folder / "project").rglob("*"))
    up.run("lab.inject", "shared", "off")
    until("it has powered off", lambda: "s" in state_of(up, "off"))
    said = up.run("lab.status", "shared")
    assert re.search(r"guest off powered off after [\d.]+ m?s\n", said.out)
    assert sorted(path.name for path in (up.folder / "project").rglob("*")) == before


def test_a_linux_guest(up: World) -> None:
    """`kernel:` and `ramdisk:` boot a Linux domU, whose console is its log."""
    write_labs(up.folder / "linux.yaml", linux=write_linux(up.folder))
    said = json.loads(up.run("lab.inject", "shared", "linux", "--labs", "linux.yaml", "--json").out)
    log = Path(said["run"], "console", "linux.log")
    until("Linux has spoken", lambda: b"hello from Linux" in log.read_bytes(), 90)
    up.run("lab.exec", "shared", "xl destroy linux")


def test_hostile_output_reaches_no_terminal(up: World) -> None:
    """A user's application prints anything: its log has it raw, and it is shown escaped."""
    said = json.loads(up.run("lab.inject", "shared", "mine", "--json").out)
    assert "mine: " in said["lines"]["mine"]
    assert b"\x1b]0;owned\x07" in Path(said["run"], "console", "mine.log").read_bytes()
    shown = up.run("lab.logs", "shared", "--on", "mine").out + up.run("lab.logs", "shared").out
    assert r"\x1b]0;owned\x07" in shown
    assert "\x1b" not in shown + said["lines"]["mine"]
    assert "\x9b" not in shown


@pytest.mark.parametrize("on", ["xen", "dom0"])
def test_every_console_can_be_named(up: World, on: str) -> None:
    """The logs of Xen and dom0 are there; the error for an unknown console names the known ones."""
    assert up.run("lab.logs", "shared", "--on", on).out
    assert on in up.run("lab.logs", "shared", "--on", "nosuch", status=2).err
