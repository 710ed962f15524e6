"""A small cluster on this machine: the scheduler in this process, and workers of their own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

from distributed import Scheduler

from lab.cluster import keys
from lab.cluster.player import environment
from lab.cluster.quiet import quiet
from lab.cluster.sizes import Size
from lab.errors import LabError, UsageError
from lab.run import slots
from lab.util import process, waiting
from lab.util.deadline import Deadline
from lab.util.proc import end_group

#: Seconds that the workers have to end their labs.
PATIENCE = 60.0


async def serve(size: Size, key: Path, crew: Crew, ready: Callable[[str], None]) -> None:
    """Have a cluster until this is cancelled, or all its workers have ended.

    ``key``: the file of its key, made if it is missing. ``ready`` gets the address.

    Raises:
        UsageError: the address cannot be used. LabError: all workers have ended.
    """
    quiet()
    keys.make(key)
    scheduler = Scheduler(
        host=size.address, port=size.port, protocol="tls://", security=keys.of(key),
        dashboard=False, dashboard_address="127.0.0.1:0",
    )  # fmt: skip
    try:
        try:
            await scheduler
        except (OSError, ValueError, RuntimeError) as error:
            words = f"{size.address}, port {size.port}, cannot be listened on: {error}"
            raise UsageError(words, hint="name another with --address and --port") from error
        crew.start(size.workers, scheduler.address, key)
        ready(scheduler.address)
        await crew.ended() if size.workers else await scheduler.finished()
    finally:
        with contextlib.suppress(Exception):
            await scheduler.close()
    raise LabError("all workers of the cluster have ended",
                   hint="start it again; LAB_CACHE names a disk with room")  # fmt: skip


class Crew:
    """The workers of a cluster here: processes. ``folder``: each gets a folder in it. ``told``
    hears of each that ends by itself."""

    def __init__(self, folder: Path, told: Callable[[str], None]) -> None:
        self._folder = folder
        self._told = told
        self._children: list[process.Child] = []

    def start(self, count: int, address: str, key: Path) -> None:
        """Start workers, which share the processors."""
        labs = max(1, slots.machine().cpus // count) if count else 0
        for number in range(1, count + 1):
            place = self._folder / f"worker-{number}"
            place.mkdir(parents=True, exist_ok=True)
            argv = [sys.executable, "-m", "lab", "cluster.worker", address, "--key", str(key),
                    "--folder", str(place), "--jobs", str(labs)]  # fmt: skip
            with (place / "said").open("wb") as log:
                self._children.append(process.spawn(argv, log_to=log, env=environment()))

    async def ended(self) -> None:
        """Wait until all have ended."""
        await asyncio.gather(*(self._ended(*one) for one in enumerate(self._children, 1)))

    async def _ended(self, number: int, child: process.Child) -> None:
        await waiting.ends(child.pid)
        status = child.poll() or 0
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        left = sum(one.poll() is None for one in self._children)
        self._told(f"worker {number} {how}; {left} of {len(self._children)} still run")

    def close(self) -> None:
        """End all of them, and their labs. This takes a while, so no event loop waits for it."""
        for one in self._children:
            with contextlib.suppress(ProcessLookupError):
                one.terminate()
        patience = Deadline(PATIENCE)
        for one in self._children:
            if process.reap(one, patience.left()) is None:
                end_group(one.pid)
                one.wait()
