"""Moments of a run of the past."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path

import pytest

from system.terminal import Terminal
from system.world import ROOT, Said, World

LAB = "periodic"
#: One task writes into the stack of another one, which notices it later.
DAMAGE = """
#include <FreeRTOS.h>
#include <task.h>

#include "guest.h"

enum { GOOD = 0x600d, BAD = 0xbad };

static volatile unsigned long *somewhere;

__attribute__((noinline)) static void scribble(volatile unsigned long *word)
{
    *word = BAD;
}

static void vandal(void *unused)
{
    (void)unused;
    vTaskDelay(pdMS_TO_TICKS(300));
    scribble(somewhere);
    vTaskDelete(NULL);
}

static void victim(void *unused)
{
    volatile unsigned long mark = 0;

    (void)unused;
    somewhere = &mark;
    for (mark = GOOD; mark == GOOD;)
        vTaskDelay(pdMS_TO_TICKS(20));
    configASSERT(mark == GOOD);
    vTaskDelete(NULL);
}

int main(void)
{
    xTaskCreate(victim, "victim", 512, NULL, 3, NULL);
    xTaskCreate(vandal, "vandal", 512, NULL, 2, NULL);
    vTaskStartScheduler();
    return 0;
}
"""
LABS = """
hypervisors: {stock: {from: package}}
guests: {app: {freertos: app}}
labs:
  damage:
    arch: ARCH
    clock: virtual
    guests: [app]
    expect: [{on: app, line: "never said", within: 2s}]
"""
#: Who wrote the word last? Then one instruction on, and back to where the failure is.
WHO = """
frame function victim
print/x mark
watch -location mark
reverse-continue
print/x *word
x/i $pc
stepi
print/x *word
lab back
print/x *word
reverse-finish
lab back
x/i $pc
delete
continue
set var somewhere = 0
"""
#: The command line, with places stored close to each other; it says where a replay begins. With
#: "template" each begins there.
PLACES = """
import sys

from lab.__main__ import main
from lab.run import places

def told(session, place):
    print("begins at", place.at, file=sys.stderr)
    filled(session, place)

filled, places.fill_window = places.fill_window, told
places.APART, places.NEAR = 400_000, 100_000
if sys.argv[1] == "template":
    places.APART = 1 << 62
sys.argv = ["lab", *sys.argv[5:]]
main()
"""


@pytest.fixture(scope="module")
def traced(world: World) -> World:
    """A world with a run that has a trace."""
    world.run("lab.run", LAB)
    return world


def look(world: World, folder: Path, commands: str, *moment: str, status: int = 0) -> Said:
    """Execute the run again to a moment, and have GDB look at it."""
    script = folder / "look.gdb"
    script.write_text(commands)
    return world.run("lab.debug", LAB, *moment, "--batch", "--command", str(script), status=status)


def test_signals_at_a_moment(traced: World) -> None:
    """Ctrl-C on the way there ends the command. At the prompt it does nothing; in `lab goto` it
    comes when GDB is there; while the run goes on the machine stops. SIGTERM ends all of it."""
    before = sorted((traced.folder / "runs" / LAB).iterdir())
    words = ("lab.debug", LAB, "--at", "0.3s")
    terminal = Terminal(traced, *words)
    terminal.until(b"the run, again")
    terminal.type(b"\x03")
    assert terminal.end() == 130
    assert traced.left() == []

    terminal = Terminal(traced, *words)
    terminal.until(b"(gdb) ")
    terminal.do(b"\x03\x03", b"Quit")
    terminal.do(b"lab goto 0.2s\r\x03", b"Quit")
    terminal.do(b"lab now\r", b"stops that did not count")
    terminal.do(b"continue\r", b"Continuing")
    terminal.do(b"\x03", b"received signal SIGINT")
    terminal.do(b"continue\r", b"Continuing")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.end() == 130
    assert b"Traceback" not in terminal.seen
    assert traced.left() == []
    assert sorted((traced.folder / "runs" / LAB).iterdir()) == before


def test_a_time_has_the_same_registers_each_time(traced: World, tmp_path: Path) -> None:
    """All that QEMU knows of each PCPU, and FreeRTOS's tasks with their stacks."""
    commands = "lab tasks\nlab on everywhere\ninfo registers\nx/64xw $sp\n"
    first, *others = (look(traced, tmp_path, commands, "--at", "0.5s").out for _ in range(3))
    assert re.search(r"^pc +0x[0-9a-f]+", first, re.M), first
    assert re.search(r"^VTTBR +0x[0-9a-f]+", first, re.M), first
    assert others == [first, first]


def test_a_guest_is_followed_backwards_through_xen(traced: World, tmp_path: Path) -> None:
    """At dom0's stop the guest waits. It was left at the instruction with which it waits; one step
    on from there leads past Xen again, here to the end of what was executed."""
    commands = "reverse-stepi\nx/i $pc\nlab domains\nstepi\nx/i $pc\nreverse-continue\nx/i $pc\n"
    said = look(traced, tmp_path, commands, "--at", "0.1s").out
    found = re.findall(r"^=> 0x[0-9a-f]+ <(\w+)(?:\+\d+)?>:\t(\w+)", said, re.M)
    assert found == [("port_sleep", "wfi"), ("port_sleep", "isb"), ("_start", "nop")], said
    assert re.search(rf"^{LAB} +1 +0 +runs on 0", said, re.M), said


def test_a_run_stands_before_a_record_of_its_trace(traced: World, tmp_path: Path) -> None:
    """The application's own count of jobs agrees: job 17 has not begun, and is the next or so."""
    where = "job 17 of fast begins"
    said = look(traced, tmp_path, "print tasks[0].done\n", "--before-event", where)
    assert re.search(rf"stands before {where}, 0\.\d+ s after the guests began", said.err), said.err
    done = re.search(r"^\$1 = (\d+)$", said.out, re.M)
    assert done, said.out
    assert 15 <= int(done[1]) <= 17

    wrong = look(traced, tmp_path, "", "--before-event", "job 17 of fats begins", status=2).err
    assert "did you mean 'fast'?" in wrong, wrong


@pytest.fixture(params=["arm32", "arm64"])
def damage(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A labs.yaml whose lab fails."""
    (tmp_path / "images").symlink_to(ROOT / "images")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.c").write_text(DAMAGE)
    (tmp_path / "labs.yaml").write_text(LABS.replace("ARCH", request.param))
    return tmp_path / "labs.yaml"


def test_the_instruction_that_damaged_a_stack_is_found(world: World, damage: Path) -> None:
    """From a run that failed to whoever wrote the word, 20 ms before anybody noticed. GDB sees the
    same if each replay begins at the template instead of at a stored place."""
    labs = ("--labs", str(damage))
    red = world.run("lab.run", "damage", *labs, status=1).out
    assert re.search(r"assertion failed at app/main\.c:\d+ \[task victim\]", red), red
    script = damage.with_name("who.gdb")
    script.write_text(WHO)
    debug = ("lab.debug", "damage", "--before-failure", "--batch", "--command", str(script), *labs)
    found, slow = (
        world.run(*debug, status=1, before=(sys.executable, "-c", PLACES, how))
        for how in ("places", "template")
    )
    said = found.out
    assert slow.out == said
    assert "begins at" in found.err
    assert "begins at" not in slow.err
    assert re.search(r"Old value = 2989\s+New value = 24589\s.*in scribble ", said), said
    assert len(re.findall(r"=> 0x[0-9a-f]+ <scribble.*>:\s+str\s", said)) == 2, said
    values = re.findall(r"^\$\d+ = (0x\w+)$", said, re.M)
    assert values == ["0xbad", "0x600d", "0xbad", "0x600d"], said
    assert re.search(r"in vandal .*\s.*scribble\(somewhere\);", said), said
    assert "Reached end of recorded history" in said


@pytest.mark.parametrize("damage", ["arm32"], indirect=True)
def test_a_branch_has_a_verdict_of_its_own(world: World, damage: Path) -> None:
    """Without the damage the guest does not crash any more. It can be gone back to before the value
    was written. The run itself stays the latest one."""
    labs = ("--labs", str(damage))
    world.run("lab.run", "damage", *labs, status=1)
    latest = (damage.parent / "runs" / "damage" / "latest").resolve()
    script = damage.with_name("help.gdb")
    script.write_text("set var somewhere = &xTickCount\nprint somewhere == &xTickCount\n")
    said = world.run("lab.debug", "damage", "--at", "0.2s", "--branch", "--batch", "--command",
                     str(script), *labs)  # fmt: skip
    assert "from here on this is a branch" in said.out
    branch = re.search(r"branch (damage/\S+) fails: (.*)", said.err)
    assert branch, said.err
    assert "never said" in branch[2], branch
    log = (damage.parent / "runs" / branch[1] / "console" / "app.log").read_text()
    assert "assertion failed" not in log
    assert (damage.parent / "runs" / "damage" / "latest").resolve() == latest
    again = world.run("lab.debug", branch[1], "--at", "0.2s", *labs, status=2).err
    assert f"the run that it left: damage/{latest.name}" in again

    script.write_text(
        "set var somewhere = 0\nprint somewhere\nreverse-stepi\nprint somewhere != 0\nstepi\n"
        "print somewhere\nset var somewhere = 0\n"
    )
    back = world.run("lab.debug", "damage", "--at", "0.2s", "--batch", "--command",
                     str(script), *labs, status=1).out  # fmt: skip
    values = re.findall(r"^\$\d+ = (?:\(.*\) )?(\w+)$", back, re.M)
    assert values == ["0x0", "1", "0x0"], back
