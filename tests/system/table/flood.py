"""Guests that print as fast as they can."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import time
from pathlib import Path

from lab.machine import console_quota, qmp
from system.table.rows import full
from system.world import LONGEST, World, until

#: So many labs at once, for so many seconds: at CI size, and in full.
SIZES = ((2, 8.0), (4, 60.0))
#: Seconds in which QEMU answers meanwhile, on an idle machine. On a busy one it may take as much
#: longer as it takes to start this many programs that do nothing.
ANSWER, STARTS = 1.0, 5
_LINE = re.compile(rb"flood ([0-9a-f]{8}) 0123456789")


def long(world: World, _: int) -> None:
    """QEMU answers, our process does not grow, and every byte is archived in order."""
    count, seconds = SIZES[full()]
    try:
        said = json.loads(world.run("lab.up", "wild-flood", "--count", str(count), "--json").out)
        ids = [world.id_of(one["name"]) for one in said]
        follower = world.start("lab.logs", "wild-flood-1", "--follow", before=_QUIET)
        pid = follower.process.pid
        until("it reads the log", lambda: _has_open(pid, "wild-flood.log"), LONGEST)
        late, grown = _look(world, ids, pid, seconds)
        follower.process.kill()
        follower.end()
    finally:
        world.run("lab.down", "--all")
    assert late < ANSWER, f"QEMU took {late:.2f} s longer to answer than this machine is slow"
    assert grown < 1.1, f"whoever follows a log grew to {grown:.2f} of what it was"
    for one in said:
        _whole(Path(one["run"]) / "console" / "wild-flood.log", seconds)


#: What is shown goes nowhere; nobody reads it here.
_QUIET = ("sh", "-c", 'exec "$@" >/dev/null', "sh")


def _has_open(pid: int, name: str) -> bool:
    """Whether a process has a file of this name open (proc_pid_fd(5))."""
    found = False
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since
            found = found or path.readlink().name == name
    return found


def _look(world: World, ids: list[str], pid: int, seconds: float) -> tuple[float, float]:
    """How late QEMU answered at most, in seconds, and by how much our process grew."""
    sockets = [world.runtime / "xenlab" / one / "qmp.sock" for one in ids]
    late, first, most = 0.0, 0, 0
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        busy = STARTS * _start()
        late = max([late, *(asyncio.run(_ask(socket)) - busy for socket in sockets)])
        most = max(most, memory(pid))
        if passed < seconds / 3:  # it reads its first chunks
            first = most
        time.sleep(0.2)
    return late, most / first


def _start() -> float:
    """Seconds that it takes to start a program that does nothing."""
    began = time.monotonic()
    subprocess.run(["true"], check=True)
    return time.monotonic() - began


async def _ask(socket: Path) -> float:
    began = time.monotonic()
    async with qmp.connected(socket) as control:
        await control.execute("query-status")
    return time.monotonic() - began


def memory(pid: int) -> int:
    """Resident bytes of a process (proc_pid_statm(5))."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) << 12


def _whole(log: Path, seconds: float) -> None:
    """Check that the numbers follow each other: none is missing, and there are many."""
    numbers = [int(found, 16) for found in _LINE.findall(log.read_bytes())]
    assert len(numbers) > 50 * seconds, f"{len(numbers)} lines only: no flood"
    assert numbers == list(range(len(numbers))), "lines are missing, or out of order"


def ends_a_run(world: World, number: int) -> None:
    """A console that prints more than it may ends `lab.run` with exit status 1, the guest and
    the reason."""
    env = {"LAB_CONSOLE_LIMIT": "256K"}
    clock = ("--clock", "host" if number % 2 else "virtual")
    said = json.loads(world.run("lab.run", "wild-flood", *clock, "--json", env=env, status=1).out)
    assert said["layer"] == "guest", said
    assert "console of wild-flood printed more than 256K" in said["reason"], said
    assert (Path(said["run"]) / "console" / "wild-flood.log").stat().st_size < 4 << 20


def is_bounded(world: World, _: int) -> None:
    """If nobody watches, the kernel enforces the limit on QEMU, QEMU lives, and the loss is
    counted."""
    env = {"LAB_CONSOLE_LIMIT": "1K"}
    said = json.loads(world.run("lab.up", "wild-flood", "--json", env=env).out)
    log = Path(said["run"]) / "console" / "wild-flood.log"
    try:
        until("its log is full", lambda: log.stat().st_size == console_quota.LEAST, 120)
        time.sleep(1)
        assert "wild-flood" in world.run("lab.exec", "wild-flood", "xl list").out
        assert "bytes that did not fit into its log" in world.run("lab.logs", "wild-flood").err
    finally:
        world.run("lab.down", "wild-flood")
    assert log.stat().st_size == console_quota.LEAST
    lost = json.loads((Path(said["run"]) / "manifest.json").read_text())["lost"]
    assert lost["wild-flood"] > 4096
