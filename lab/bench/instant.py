"""Measures restored labs, and runs under the virtual clock, each in turn with its baseline."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from lab.api import Context, down
from lab.bench import limits
from lab.bench.figure import Figure, at_least, at_most, said
from lab.machine import qmp
from lab.model import ARM32, Architecture, Command, Mount, StartOptions, Toolchain
from lab.rundir import all_lab_dirs, runtime_root
from lab.util import process, waiting
from lab.util.deadline import Deadline

#: A lab without guests, so that nothing delays the answer of dom0's agent, and its labs.yaml.
BARE_NAME = "bare"
BARE = "labs:\n  bare: {hypervisor: stock}\nhypervisors:\n  stock: {from: package}\nguests: {}\n"
#: How many labs are started at once.
MANY = 16
#: The lab that runs under both clocks.
RUN = "selftest"


def stop(context: Context, name: str, count: int) -> None:
    """Stop the labs ``name-1`` to ``name-count``, and no other."""
    for number in range(1, count + 1):
        down(context, f"{name}-{number}")


@contextlib.contextmanager
def bare(like: Context) -> Iterator[Context]:
    """A folder whose labs.yaml has the lab ``bare``; the rest is as in ``like``."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "labs.yaml"
        file.write_text(BARE)
        yield replace(like, file=file)


def restored(
    context: Context, toolchain: Toolchain, rounds: int, say: Callable[[str], None]
) -> list[Figure]:
    """Labs without guests, one and many. ``context`` comes from :func:`bare`.

    A lab and the bare QEMU are compared from the start of QEMU. One lab and many at once are
    compared from the start of the command, which is what a user sees. From the start of the first
    QEMU their ratio cannot be below that of labs to CPUs, because each lab keeps a CPU busy until
    its dom0 answers.

    Raises:
        LabError: a lab did not come up.
    """
    say("restored labs without guests")
    said(context, "lab.up", "bare")
    said(context, "lab.down", "bare")
    arch = context.arch or ARM32
    alone, ones, crowds = [], [], []
    memory: list[float] = []
    for _ in range(rounds):
        alone.append(_bare(toolchain, arch))
        ones.append(_answers_of(context))
        said(context, "lab.down", "bare")
        crowds.append(_answers_of(context, "--count", str(MANY)))
        memory += _memory(arch)
        stop(context, BARE_NAME, MANY)
    qemu = statistics.median(alone)
    one, one_machine = (statistics.median(each) for each in zip(*ones, strict=True))
    all_, all_machines = (statistics.median(each) for each in zip(*crowds, strict=True))
    own = statistics.median(memory) / 1e6
    many = f"{MANY} labs until all answer"
    return [
        Figure("bare QEMU until QMP answers", qemu, "s"),
        Figure("restored until the agent answers", one_machine, "s"),
        at_most("restored until the agent answers, to bare QEMU", one_machine / qemu, "x", 4.0),
        Figure(f"{many}, from the first QEMU", all_machines, "s"),
        Figure(f"{many}, from the first QEMU, to one lab", all_machines / one_machine, "x"),
        Figure("lab.up until the agent answers", one, "s"),
        Figure(f"{many}, from the command", all_, "s"),
        at_most(f"{many}, from the command, to one lab", all_ / one, "x", 6.0),
        at_most("own memory of an idle lab (PSS)", own, "MB", limits.of(arch).idle),
    ]


def _answers_of(context: Context, *words: str) -> tuple[float, float]:
    """Start ``bare`` with ``lab.up``. Returns what :func:`until_all_answer` does."""
    began = time.time()
    found = said(context, "lab.up", BARE_NAME, *words)
    labs = found if isinstance(found, list) else [found]
    return until_all_answer([Path(each["run"]) for each in labs], began)


def until_all_answer(runs: list[Path], began: float) -> tuple[float, float]:
    """Seconds until the last dom0 answered: since ``began``, and since the first QEMU started.

    ``runs`` are the folders of the runs. ``began`` is a time of :func:`time.time`.
    """
    starts, answers = [], []
    for run in runs:
        for line in (run / "events.jsonl").read_text().splitlines():
            event = json.loads(line)
            if event.get("what") == "agent":
                answers.append(event["time"])
                starts.append(event["time"] - event["after"])
    last = float(max(answers))
    return last - began, last - min(starts)


def guests(context: Context, naive: float, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Labs with a guest. ``naive``: seconds that the naive boot takes until dom0 answers."""
    say("restored labs with guests")
    said(context, "lab.up", "hello")
    said(context, "lab.down", "hello")
    ups, injects = [], []
    for _ in range(rounds):
        ups.append(said(context, "lab.up", "hello")["phases"]["first line"])
        injects.append(said(context, "lab.inject", "hello", "hello2")["seconds"])
        said(context, "lab.down", "hello")
    up, inject = statistics.median(ups), statistics.median(injects)
    return [
        at_most("restored until its guest prints", up, "s", 0.6),
        at_least(
            "restored until its guest prints, speed-up over the naive boot", naive / up, "x", 12.0
        ),
        at_least(
            "lab.inject into a restored lab, speed-up over the naive boot",
            naive / inject,
            "x",
            limits.of(context.arch).inject,
        ),
    ]


def clocks(context: Context, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Runs of one lab under both clocks, each restored from its template."""
    say("runs under both clocks")
    walls: dict[str, list[float]] = {"virtual": [], "host": []}
    digests = set()
    for clock in walls:
        said(context, "lab.run", RUN, "--clock", clock)  # makes its template
    for _ in range(rounds):
        for clock, seconds in walls.items():
            started = Deadline(0)
            run = said(context, "lab.run", RUN, "--clock", clock)
            seconds.append(started.elapsed())
            digests |= {run["digest"]} - {""}
    ratio = statistics.median(walls["virtual"]) / statistics.median(walls["host"])
    return [
        at_most("lab.run, virtual to host clock", ratio, "x", 1.2),
        Figure(f"digests of {rounds} virtual runs", len(digests), "", "= 1", len(digests) == 1),
    ]


def _bare(toolchain: Toolchain, arch: Architecture) -> float:
    """Seconds until QMP answers in a QEMU that has nothing to do."""
    with tempfile.TemporaryDirectory(dir=runtime_root()) as name:
        folder = Path(name)
        argv = [arch.qemu, "-machine", "virt", "-nodefaults", "-display", "none", "-S",
                "-chardev", "socket,id=q,path=/lab/live/q,server=on,wait=off",
                "-mon", "chardev=q,mode=control"]  # fmt: skip
        clock = Deadline(0)
        with (folder / "log").open("wb") as log:
            mounts = [Mount(folder, "/lab/live", writable=True)]
            program = toolchain.start(Command(argv, mounts=mounts), StartOptions("bench", log))
        try:
            return asyncio.run(_answers(folder / "q", clock))
        finally:
            program.kill()


async def _answers(socket: Path, clock: Deadline) -> float:
    await waiting.appears(socket)
    async with qmp.connected(socket):
        return clock.elapsed()


def _memory(arch: Architecture) -> list[float]:
    """The proportional set size (PSS) of each lab's QEMU, in bytes (proc_pid_smaps(5))."""
    sizes = []
    ours = {f"guest={lab.tag},debug-threads=on".encode() for lab in all_lab_dirs()}
    for pid, argv in process.running():
        if argv[0].endswith(arch.qemu.encode()) and any(one in ours for one in argv):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            sizes += [float(line.split()[1]) * 1024 for line in rollup if line.startswith("Pss:")]
    return sizes
