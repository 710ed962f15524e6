"""Measures restored labs and runs under the virtual clock, beside what they are compared with."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.api import Context, down_all
from lab.bench.figure import Figure, at_least, at_most
from lab.errors import LabError
from lab.machine import qmp
from lab.model import Mount, Toolchain
from lab.rundir import runtime_root
from lab.util import process, waiting
from lab.util.deadline import Deadline

#: A lab without guests: dom0 alone, and nothing else in the way of its agent.
BARE = "labs:\n  bare: {hypervisor: stock}\nhypervisors:\n  stock: {from: package}\nguests: {}\n"
#: So many labs are started at once.
MANY = 16
#: The lab that is run on both clocks.
RUN = "selftest"
#: Seconds in which the slowest of these commands has ended.
LONGEST = 600.0


def measure(
    context: Context, toolchain: Toolchain, naive: float, rounds: int, say: Callable[[str], None]
) -> list[Figure]:
    """All figures about restored labs. ``naive``: seconds of the naive boot until dom0 answers.

    Raises:
        LabError: a lab did not come up.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "labs.yaml"
        file.write_text(BARE)
        found = _restored(Context(file, context.door), toolchain, rounds, say)
    return found + _guests(context, naive, rounds, say) + _virtual(context, rounds, say)


def _restored(
    context: Context, toolchain: Toolchain, rounds: int, say: Callable[[str], None]
) -> list[Figure]:
    say("restored labs without guests")
    _lab(context, "lab.up", "bare")
    _lab(context, "lab.down", "bare")
    bare, single, several = [], [], []
    for _ in range(rounds):
        bare.append(_bare(toolchain))
        single.append(_lab(context, "lab.up", "bare")["phases"]["agent"])
        _lab(context, "lab.down", "bare")
    clock = Deadline(0)
    several = _lab(context, "lab.up", "bare", "--count", str(MANY))
    together = clock.elapsed()
    memory = statistics.median(_memory())
    down_all()
    one = statistics.median(single)
    slowest = max(each["phases"]["agent"] for each in several)
    return [
        Figure("bare QEMU until QMP answers", statistics.median(bare), "s"),
        Figure("restored until the agent answers", one, "s"),
        at_most("the same, in bare QEMUs", one / statistics.median(bare), "x", 4.0),
        Figure(f"{MANY} labs at once, command", together, "s"),
        at_most(f"{MANY} labs until all answer, in ones", slowest / one, "x", 6.0),
        at_most("own memory of an idle lab (PSS)", memory / 1e6, "MB", 40.0),
    ]


def _guests(
    context: Context, naive: float, rounds: int, say: Callable[[str], None]
) -> list[Figure]:
    say("restored labs with guests")
    _lab(context, "lab.up", "hello")
    _lab(context, "lab.down", "hello")
    ups, injects = [], []
    for _ in range(rounds):
        ups.append(_lab(context, "lab.up", "hello")["phases"]["first line"])
        injects.append(_lab(context, "lab.inject", "hello", "hello2")["seconds"])
        _lab(context, "lab.down", "hello")
    up, inject = statistics.median(ups), statistics.median(injects)
    return [
        at_most("restored until its guest prints", up, "s", 0.6),
        at_least("the same, sooner than the naive boot", naive / up, "x", 12.0),
        at_least("lab.inject into it, sooner than the naive boot", naive / inject, "x", 5.0),
    ]


def _virtual(context: Context, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    say("runs on both clocks")
    walls: dict[str, list[float]] = {"virtual": [], "host": []}
    digests = set()
    for clock in walls:
        _lab(context, "lab.run", RUN, "--clock", clock)  # now its template is there
    for _ in range(rounds):
        for clock, seconds in walls.items():
            started = Deadline(0)
            run = _lab(context, "lab.run", RUN, "--clock", clock)
            seconds.append(started.elapsed())
            digests |= {run["digest"]} - {""}
    ratio = statistics.median(walls["virtual"]) / statistics.median(walls["host"])
    return [
        at_most("lab.run, virtual against host clock", ratio, "x", 1.2),
        Figure(f"digests of {rounds} virtual runs", len(digests), "", "= 1", len(digests) == 1),
    ]


def _lab(context: Context, *words: str) -> Any:
    """Run one of our commands as a user does; its JSON."""
    argv = [sys.executable, "-m", "invoke", *words, "--labs", str(context.file), "--json"]
    done = process.run(argv, env=dict(os.environ), timeout=LONGEST)
    if done.returncode:
        raise LabError(f"{' '.join(words)} failed", tail=done.stderr.decode(errors="replace"))
    return json.loads(done.stdout)


def _bare(toolchain: Toolchain) -> float:
    """Seconds until a QEMU that has nothing to do answers."""
    with tempfile.TemporaryDirectory(dir=runtime_root()) as name:
        folder = Path(name)
        argv = ["qemu-system-arm", "-machine", "virt", "-nodefaults", "-display", "none", "-S",
                "-chardev", "socket,id=q,path=/lab/live/q,server=on,wait=off",
                "-mon", "chardev=q,mode=control"]  # fmt: skip
        clock = Deadline(0)
        with (folder / "log").open("wb") as log:
            mounts = [Mount(folder, "/lab/live", writable=True)]
            program = toolchain.start(argv, mounts=mounts, tag="bench", log=log)
        try:
            return asyncio.run(_answers(folder / "q", clock))
        finally:
            program.kill()


async def _answers(socket: Path, clock: Deadline) -> float:
    await waiting.appears(socket)
    async with qmp.connected(socket):
        return clock.elapsed()


def _memory() -> list[float]:
    """The proportional set size of each of our machines, in bytes (proc_pid_smaps(5))."""
    sizes = []
    for pid, argv in process.running():
        if argv[0].endswith(b"qemu-system-arm") and any(b"guest=xenlab-" in one for one in argv):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            sizes += [float(line.split()[1]) * 1024 for line in rollup if line.startswith("Pss:")]
    return sizes
