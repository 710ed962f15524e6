"""GDB in a lab that runs: one boot for all of it, as booting takes longest."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lab.machine import qemu_process
from system.debugged import hits
from system.terminal import Terminal
from system.world import Said, World, processes, until

LAB = "two-guests"
#: GDB's prompt on a terminal.
PROMPT = b"(gdb) "


@pytest.fixture(scope="module")
def twins(world: World) -> Iterator[World]:
    """Two guests of one binary, which have the same addresses."""
    world.run("lab.up", LAB)
    world.kept.add(world.id_of(LAB))
    try:
        yield world
    finally:
        world.kept.clear()
        world.run("lab.down", LAB)


def gdb(world: World, tmp_path: Path, commands: str, *words: str, status: int = 0) -> Said:
    script = tmp_path / "commands.gdb"
    script.write_text(commands)
    return world.run(
        "lab.debug", LAB, "--batch", "--command", str(script), *words, status=status
    )  # fmt: skip


def ticks(world: World, guest: str) -> int:
    """How far a guest's heartbeat has come."""
    log = world.folder / "runs" / LAB / "latest" / "console" / f"{guest}.log"
    found = re.findall(r"alive at tick (\d+)", log.read_text(errors="replace"))
    return int(found[-1]) if found else 0


def test_a_breakpoint_counts_in_one_of_two_equal_guests(twins: World, tmp_path: Path) -> None:
    """Five hits, all in hello2. The backtrace has source lines, and the lab goes on afterwards."""
    said = gdb(twins, tmp_path, "break heartbeat\nbreak vTaskSwitchContext\n" + hits(5) + """
backtrace 2
info source
lab now
""", "--on", "hello2").out  # fmt: skip
    assert len(re.findall(r"hit in hello2 vCPU 0: on PCPU 0", said)) == 5, said
    assert re.search(r"#0 +vTaskSwitchContext \(\) at kernel/tasks\.c:\d+", said)
    assert re.search(r"Located in /.*tasks\.c", said), said
    goes_on(twins)


def test_the_kernels_of_a_guest_are_shown(twins: World, tmp_path: Path) -> None:
    """Tasks are threads; a task's frames, what it waits for, its stack, queues, consoles."""
    until("hello2 says something", lambda: ticks(twins, "hello2") > 0, 60)
    said = gdb(twins, tmp_path, """
lab domains
lab tasks
info threads
lab queues
lab timers
lab console hello2 3
lab on xen
lab on nobody
""", status=1).out  # fmt: skip
    assert re.search(r"^hello +1 +0 ", said, re.M), said
    assert re.search(r"heartbeat +(blocked|ready|running) +3 ", said), said
    assert re.search(r"#\d+ .* in heartbeat \(unused=.*\) at app/main\.c:\d+", said), said
    assert re.search(r"Thread \d+ \(task answer: blocked from semaphore typed_memory", said), said
    assert re.search(r'queue "TmrQ" +0 of 16 +16 +Tmr Svc \(receive\)', said), said
    assert "no software timer runs" in said
    assert "alive at tick" in said


def test_two_debuggers_do_not_meet(twins: World, tmp_path: Path) -> None:
    """An editor's GDB speaks MI through the script that was written for it. Another debugger is
    refused meanwhile, with the process that has the lab."""
    serving = twins.start("lab.debug", LAB, "--serve").when("the machine stands still")
    try:
        script = twins.folder / "runs" / LAB / "debugger"
        words = """-gdb-set mi-async off
-interpreter-exec console "python gdb_commands.connect()"
-break-insert vTaskSwitchContext
-exec-continue
"""
        with subprocess.Popen(
            [str(script), "-i=mi"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        ) as editor:  # fmt: skip
            assert editor.stdin
            assert editor.stdout
            editor.stdin.write(words)
            editor.stdin.flush()
            lines = iter(editor.stdout.readline, "")
            stop = next(line for line in lines if line.startswith('*stopped,reason="breakpoint'))
            editor.stdin.write("-gdb-exit\n")
            editor.stdin.flush()
            editor.wait(60)
        assert "vTaskSwitchContext" in stop
        assert re.search(r'fullname="/[^"]*tasks\.c"', stop), stop
        refused = gdb(twins, tmp_path, "", status=2)
        assert "the lab is being debugged already" in refused.err
        assert re.search(r"process \d+ \(lab.debug", refused.err), refused.err
    finally:
        said = serving.signal(signal.SIGINT).end()
    assert said.status == 130
    assert not script.exists()


def test_a_terminals_ctrl_c_and_its_end(twins: World) -> None:
    """Ctrl-C while GDB starts, twice at its prompt, at the moment when it lets the machine run, and
    twice while the machine runs: each time GDB has the prompt, and nobody sees a traceback. GDB's
    setting ``confirm`` stays as the user set it.

    SIGTERM while the machine runs, and a terminal that is closed: the terminal is as it was, and
    the lab goes on."""
    terminal = Terminal(twins, "lab.debug", LAB, "--on", "hello")
    terminal.read(lambda: debugger_is_there(twins), "GDB starts")
    until("GDB is there", lambda: gdb_is_there(twins))
    terminal.type(b"\x03")
    terminal.until(PROMPT)
    terminal.do(b"\x03\x03", b"Quit")
    for _ in range(5):
        terminal.do(b"continue\r", b"Continuing")
        press_twice(terminal)
    terminal.do(b"show confirm\r", b"operations is off")
    terminal.do(b"set confirm on\r", PROMPT)
    terminal.do(b"continue\r", b"Continuing")
    goes_on(twins)
    press_twice(terminal)
    terminal.do(b"show confirm\r", b"operations is on")
    terminal.do(b"lab now\r", b"stops that did not count")
    terminal.do(b"lab tasks\r\x03lab now\r", b"stops that did not count")
    terminal.do(b"continue\r", b"Continuing")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.end() == 130
    assert b"Traceback" not in terminal.seen
    goes_on(twins)

    terminal = Terminal(twins, "lab.debug", LAB)
    terminal.until(PROMPT)
    terminal.process.send_signal(signal.SIGHUP)
    assert terminal.end() == 130
    goes_on(twins)


def press_twice(terminal: Terminal) -> None:
    """Press Ctrl-C twice while the machine runs, and have the prompt. GDB asks first if it has not
    heard of the stop when the second one comes."""
    terminal.seen = b""
    terminal.type(b"\x03")
    terminal.type(b"\x03")
    question = b"(y or n) "
    terminal.read(
        lambda: PROMPT in terminal.seen or question in terminal.seen, "GDB has the prompt, or asks"
    )
    if question in terminal.seen:
        terminal.do(b"n\r", PROMPT)


def goes_on(world: World) -> None:
    """Wait until both guests say more."""
    before = {name: ticks(world, name) for name in ("hello", "hello2")}
    until("both guests go on", lambda: all(ticks(world, n) > t for n, t in before.items()), 60)


def test_the_end_of_the_machine_ends_the_debugger(twins: World, tmp_path: Path) -> None:
    """It runs last: the machine is gone then, and the next command cleans up."""
    script = tmp_path / "wait.gdb"
    script.write_text("continue\n")
    command = twins.start("lab.debug", LAB, "--batch", "--command", str(script))
    until("the debugger is there", lambda: debugger_is_there(twins), 60)

    os.kill(qemu_process.machines()[f"xenlab-{twins.id_of(LAB)}"], signal.SIGKILL)
    said = command.end()
    assert said.status == 3, said
    assert "the connection to QEMU's gdbstub ended" in said.err
    assert "Traceback" not in said.err


def debugger_is_there(world: World) -> bool:
    return (lab_folder(world) / "debug.json").exists()


def gdb_is_there(world: World) -> bool:
    """Whether a GDB has been started that sees this lab: other tests have theirs."""
    folder = str(lab_folder(world))
    return any("gdb-multiarch" in words and folder in words for _, words in processes())


def lab_folder(world: World) -> Path:
    return world.runtime / "xenlab" / world.id_of(LAB)


def test_a_crash_leaves_a_core_file_and_can_be_seen_again(world: World, tmp_path: Path) -> None:
    """The verdict has the backtrace and the command for GDB, and so has JUnit's file. The core file
    needs no machine, and costs the run nothing. The run is executed again to where it fails, and
    to a time."""
    said = world.run("lab.run", "crash", "--junit", "crash.xml", status=1).out
    assert re.search(r"# [0-9a-f]{8} crash_data\+0x\w+ at app/main\.c:\d+", said), said
    frames = re.findall(r"^    (#\d+ .*)", said, re.M)
    assert re.search(r"#0 +(0x\w+ in )?crash_data \(\) at app/main\.c:\d+", frames[0]), said
    assert len(frames) == 1, "nothing called a task's function"
    again = re.search(r"in GDB: \./inv (lab\.debug crash/\S+ --before-failure)", said)
    assert again, said
    failure = ElementTree.parse(world.folder / "crash.xml").find(".//failure")
    assert failure is not None
    assert (failure.text or "").rstrip().endswith(again[0])

    script = tmp_path / "core.gdb"
    script.write_text("lab tasks\nprint (int)xTickCount\n")
    core = world.run("lab.core", "crash", "--batch", "--command", str(script)).out
    assert re.search(r"crash +running +2 ", core), core
    assert re.search(r"Tmr Svc +blocked +7 .*queue \"TmrQ\"", core), core

    script.write_text("backtrace\nlab goto 5ms\nlab console crash\nlab domains\n")
    runs = set((world.folder / "runs" / "crash").iterdir())
    seen = world.run(*again[1].split(), "--batch", "--command", str(script)).out
    assert "fault_handle" in seen, seen
    assert re.search(r"^crash +1 +0 ", seen, re.M), seen
    left = set((world.folder / "runs" / "crash").iterdir()) - runs
    assert not left, "what looks at a run leaves none"

    wrong = world.run("lab.debug", "crash", "--before", "no such text", status=2).err
    assert "has a line with 'no such text'" in wrong, wrong


def test_a_lab_stands_where_a_guest_crashes(world: World, tmp_path: Path) -> None:
    """`lab.up --pause-on-failure` ends with the guest's status. Consoles and GDB can be used, what
    needs dom0 is refused. When GDB leaves, the lab goes on."""
    said = world.run("lab.up", "crash", "--pause-on-failure", status=1).out
    try:
        assert "lab crash stands: guest crash crashed" in said, said
        assert re.search(r"#0 +(0x\w+ in )?crash_data \(\) at app/main\.c:\d+", said), said
        assert "lab crash: stands: guest crash crashed" in world.run("lab.status", "crash").out
        assert "crash: data" in world.run("lab.logs", "crash", "--on", "crash").out
        refused = world.run("lab.exec", "crash", "xl list", status=2).err
        assert "lab crash stands: guest crash crashed" in refused, refused

        script = tmp_path / "look.gdb"
        script.write_text("backtrace\n")
        core = world.run("lab.core", "crash", "--batch", "--command", str(script)).out
        assert "crash_data" in core, core
        seen = world.run("lab.debug", "crash", "--batch", "--command", str(script)).out
        assert "xen_shutdown" in seen, seen
        assert "lab crash: running" in world.run("lab.status", "crash").out
    finally:
        world.run("lab.down", "crash")
