"""Measures what a debugger costs: breakpoints that do not count, moments of a run, a step back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from lab.api import Context
from lab.bench import limits
from lab.bench.figure import LONGEST, Figure, at_most, command, said
from lab.debug import dumping, server
from lab.errors import LabError
from lab.machine import qmp
from lab.run import digest
from lab.rundir import RunDir, lab_dir
from lab.util import process, symbols
from lab.util.deadline import Deadline

#: Two guests of one program: one executes a function as fast as it can, the other one never.
BUSY, QUIET, MARK = "busy", "quiet", "mark"
LABS = """\
hypervisors: {stock: {from: package}}
guests:
  busy: {freertos: app, cmdline: busy}
  quiet: {freertos: app}
labs:
  debugged: {guests: [busy, quiet]}
"""
PROGRAM = """\
#include <string.h>
#include <FreeRTOS.h>
#include <task.h>
#include "guest.h"

__attribute__((noinline)) void mark(void) { __asm__ volatile(""); }

static void work(void *unused)
{
    (void)unused;
    while (strstr(guest_cmdline(), "busy"))
        mark();
    vTaskDelete(NULL);
}

int main(void)
{
    printk("ready\\n");
    xTaskCreate(work, "work", configMINIMAL_STACK_SIZE, NULL, 1, NULL);
    vTaskStartScheduler();
    return 0;
}
"""
LAB = "debugged"
#: Seconds for which the machine runs with the breakpoint.
WATCHED = 5.0
#: The lab whose run is executed again, and how long before its verdict it is to stand, in seconds.
RUN, EARLIER = "periodic", 0.1
#: The most seconds that a step back may take.
BACK_WITHIN = 2.0
#: GDB's commands that measure a step back. The first one begins the replay, and does not count.
BACK = """\
reverse-stepi
python import time; began = time.monotonic()
reverse-stepi
python print("seconds:", time.monotonic() - began)
"""


def measure(context: Context, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """The figures of debugging.

    Raises:
        LabError: a lab did not come up, or a run failed.
    """
    limit = limits.of(context.arch)
    figures = [at_most("a breakpoint that does not count", passed(context, rounds, say), "ms",
                       limit.passed)]  # fmt: skip
    again = there(context, rounds, say)
    back = step_back(context, rounds, say)
    return [*figures, at_most("a run until --at, to the run itself", again, "x", 1.3),
            at_most("one step back at its end", back, "s", BACK_WITHIN)]  # fmt: skip


def passed(context: Context, rounds: int, say: Callable[[str], None]) -> float:
    """How long a stop takes that does not count where its breakpoint was set: the median (ms).

    A guest executes the breakpoint of its twin all the time, so the machine does nothing else.
    """
    with _twins(context) as there:
        say("a breakpoint in one of two equal guests")
        said(there, "lab.up", LAB)
        try:
            found = [asyncio.run(_passes(there)) for _ in range(rounds)]
        finally:
            said(there, "lab.down", LAB)
    return 1000 * statistics.median(found)


async def _passes(context: Context) -> float:
    lab = lab_dir(context.runs, LAB)
    elf = context.runs / LAB / "latest" / "guest" / f"{QUIET}.elf"
    address = symbols.read(elf).address(MARK)
    assert address is not None
    dump = dumping.through(partial(qmp.connected, lab.qmp_socket), lab)
    async with server.attached(lab) as stub:
        monitor = await server.look(stub, dump, {1: BUSY, 2: QUIET})
        runner = monitor.proxy.runner
        await monitor.on(QUIET)
        await runner.insert(b"1,%x,4" % address)
        wish, clock = asyncio.Event(), Deadline(0)
        asyncio.get_running_loop().call_later(WATCHED, wish.set)
        await runner.run(b"vCont;c", wish)
        await runner.clear()
        if not runner.passed:
            raise LabError("the guest did not meet the breakpoint of its twin")
        return float(clock.elapsed() / runner.passed)


@contextlib.contextmanager
def _twins(like: Context) -> Iterator[Context]:
    """A folder whose labs.yaml has the lab ``debugged``; the rest is as in ``like``."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "labs.yaml"
        file.write_text(LABS)
        (file.parent / "app").mkdir()
        (file.parent / "app" / "main.c").write_text(PROGRAM)
        yield replace(like, file=file)


def there(context: Context, rounds: int, say: Callable[[str], None]) -> float:
    """How much longer than a run itself it takes until the run stands shortly before its verdict,
    with GDB's start and end: the median ratio of pairs.
    """
    command(context, "lab.run", RUN)  # makes its template
    ratios = []
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}: lab.run {RUN}, and lab.debug --at its end")
        run = command(context, "lab.run", RUN)
        ratios.append(_again(context, RunDir(Path(run["run"]))) / run["wall"])
    return float(statistics.median(ratios))


def step_back(context: Context, rounds: int, say: Callable[[str], None]) -> float:
    """How many seconds one ``reverse-stepi`` takes shortly before a run's verdict: the median.

    The run has ten virtual seconds.
    """
    seconds = []
    for number in range(1, rounds + 1):
        say(f"round {number} of {rounds}: lab.run {RUN}, and reverse-stepi at its end")
        run = command(context, "lab.run", RUN)
        seconds.append(float(_gdb(context, RunDir(Path(run["run"])), BACK)))
    return statistics.median(seconds)


def _again(context: Context, run: RunDir) -> float:
    """The seconds that ``lab.debug`` takes until a run stands before its verdict."""
    clock = Deadline(0)
    _gdb(context, run)
    return float(clock.elapsed())


def _gdb(context: Context, run: RunDir, commands: str = "") -> str:
    """Have GDB execute commands where a run stands before its verdict. Returns the number that
    GDB says after "seconds:"; empty if it says none.
    """
    decided = digest.decided(run)
    assert decided is not None
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bench.gdb"
        script.write_text(commands)
        argv = [sys.executable, "-m", "lab", "lab.debug", f"{RUN}/{run.id}", "--batch",
                "--at", f"{decided - EARLIER:.6f}s", "--on", "everywhere",
                "--command", str(script), "--labs", str(context.file)]  # fmt: skip
        done = process.run(argv, env=dict(os.environ), timeout=LONGEST)
    if done.returncode:
        raise LabError("lab.debug failed", tail=done.stderr.decode(errors="replace"))
    return done.stdout.decode(errors="replace").partition("seconds: ")[2].partition("\n")[0]
