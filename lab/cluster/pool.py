"""A small cluster on this machine: the scheduler in this process, and workers of their own."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from distributed import Scheduler

from lab.cluster import keys
from lab.cluster.player import environment
from lab.cluster.quiet import quiet
from lab.cluster.sizes import Size
from lab.errors import LabError, UsageError
from lab.run import slots
from lab.util import process, waiting
from lab.util.proc import end_group

#: Seconds that a worker has to end its labs.
PATIENCE = 90.0


async def serve(size: Size, key: Path, folder: Path, ready: Callable[[str], None]) -> None:
    """Have a cluster until this is cancelled, or all its workers have ended.

    ``folder``: each worker gets a folder in it. ``ready`` gets the address.

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
        with _workers(size, scheduler.address, key, folder) as children:
            ready(scheduler.address)
            if not children:
                await scheduler.finished()
            await asyncio.gather(*(waiting.ends(one.pid) for one in children))
    finally:
        with contextlib.suppress(Exception):
            await scheduler.close()
    raise LabError("all workers of the cluster have ended", hint=f"{folder} has their logs")


@contextlib.contextmanager
def _workers(size: Size, address: str, key: Path, folder: Path) -> Iterator[list[process.Child]]:
    """Processes, each a worker. They end with the block."""
    labs = max(1, slots.machine().cpus // size.workers) if size.workers else 0
    children: list[process.Child] = []
    try:
        for number in range(1, size.workers + 1):
            place = folder / f"worker-{number}"
            place.mkdir(parents=True, exist_ok=True)
            argv = [sys.executable, "-m", "lab", "cluster.worker", address, "--key", str(key),
                    "--folder", str(place), "--jobs", str(labs)]  # fmt: skip
            with (place / "said").open("wb") as log:
                children.append(process.spawn(argv, log_to=log, env=environment()))
        yield children
    finally:
        for one in children:
            with contextlib.suppress(ProcessLookupError):
                one.terminate()
        for one in children:
            if process.reap(one, PATIENCE) is None:
                end_group(one.pid)
                one.wait()
