"""A worker: a process that takes runs from a cluster's scheduler, as many as it has room for.

It has a folder with what was sent to it (``parts``) and a folder for each run under way. The cache
is that of its machine, or of ``$LAB_CACHE``.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from distributed import Worker
from distributed.diagnostics.plugin import WorkerPlugin

from lab import __version__
from lab.cluster import contents
from lab.cluster.keys import Access, readable
from lab.cluster.places import Places
from lab.cluster.player import Player
from lab.cluster.quiet import quiet
from lab.cluster.sizes import Station
from lab.cluster.task import TOPIC, CameBack, Task
from lab.errors import LabError, MachineError, UsageError
from lab.run import live, slots
from lab.rundir import RunDir
from lab.util import files, private, reading, signals
from lab.util.terminal import escape_lines

if TYPE_CHECKING:
    from lab.cluster.contents import Part

#: The worker of this process, as ``worker``: the engine calls functions, not methods.
HERE: dict[str, Bench] = {}
#: Seconds to find the scheduler.
FIND = 60.0
#: The names of the engine's resources: labs at once, and bytes of memory.
LABS, MEMORY = "labs", "memory"
#: Seconds that labs have to end, and bytes of the log that an error shows.
END, LAST = 60.0, 4096
#: The bytes at which the log begins anew.
LARGEST = 4 << 20


class Bench:
    """Runs tasks, each in a process that is kept for the next one."""

    def __init__(self, folder: Path, name: str, log: IO[bytes]) -> None:
        self.folder = folder
        self.name = name
        self._log = log
        self._places = Places(folder)
        self._free: list[Player] = []
        #: The tasks that run, by key; ``None`` as long as there is no process yet.
        self._busy: dict[str, Player | None] = {}
        self._unwanted: set[str] = set()
        self._closed = False
        self._news = threading.Condition()
        #: Gets what others may want to know of a run that ended.
        self.tell: Callable[[dict[str, str]], None] = lambda _: None

    def play(self, task: Task, parts: Sequence[Part]) -> CameBack:
        """Run a task.

        Raises:
            MachineError: the process that ran it ended, or was told to. OSError: the disk is full.
        """
        with self._busy_with(task.key):
            if task.version != __version__:
                raise LabError(
                    f"worker {self.name} has xenlab {__version__}, not {task.version}",
                    hint="use the same version on all machines of the cluster",
                )
            self._places.lay(parts)
            with self._places.of(task) as place, self._player(task.key) as player:
                if not player.play(place):
                    raise self._lost(task)
                back = self._back(place)
        if back.digest:
            self.tell({"key": task.key, "digest": back.digest, "on": self.name})
        return back

    def end(self, keys: Sequence[str], wait: bool = True) -> None:
        """End the labs of tasks that nobody wants any more, and wait until they have ended."""
        with self._news:
            for key in self._busy.keys() & set(keys):
                self._unwanted.add(key)
                if player := self._busy[key]:
                    player.interrupt()
            if wait:
                self._news.wait_for(lambda: not self._busy.keys() & set(keys), END)

    def close(self) -> None:
        """End all labs, and wait until they have ended. No further one begins."""
        with self._news:
            self._closed = True
        self.end(list(self._busy))
        for one in self._free:
            one.interrupt()
        for one in self._free:
            one.close()
        self._places.close()

    @contextlib.contextmanager
    def _busy_with(self, key: str) -> Iterator[None]:
        with self._news:
            if self._closed:
                raise MachineError(f"worker {self.name} ends")
            self._unwanted.discard(key)
            self._busy[key] = None
        try:
            yield
        finally:
            with self._news:
                del self._busy[key]
                self._news.notify_all()

    @contextlib.contextmanager
    def _player(self, key: str) -> Iterator[Player]:
        """A process for a task. One that failed is ended, with what it left."""
        with self._news:
            player = self._free.pop() if self._free else Player(self._log)
            self._busy[key] = player
            if key in self._unwanted:
                player.interrupt()
            if os.fstat(self._log.fileno()).st_size > LARGEST:
                self._log.truncate(0)  # the processes append to it
        well = False
        try:
            yield player
            well = key not in self._unwanted
        finally:
            if well:
                self._free.append(player)
            else:
                player.close()
                live.sweep()

    def _lost(self, task: Task) -> MachineError:
        with reading.binary(Path(self._log.name)) as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - LAST))
            said = stream.read()
        return MachineError(
            f"lab {task.order.lab} did not run to its end on worker {self.name}",
            tail=escape_lines(said, last=12),
        )

    def _back(self, place: Path) -> CameBack:
        outcome = reading.data(place / "outcome", reading.IMAGE)
        found = sorted((place / "runs").glob("*/*/manifest.json"))
        if not found:
            return CameBack(outcome, b"", self.name)
        run = RunDir(found[0].parent)
        digest = str(run.manifest().get("digest") or "")
        return CameBack(outcome, contents.pack(run.path), self.name, digest)


class Watch(WorkerPlugin):
    """Hears from the engine what becomes of tasks."""

    name = "xenlab"

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def transition(self, key: Any, start: str, finish: str, **_: Any) -> None:
        """A task that is no longer wanted ends its lab."""
        if start in ("executing", "long-running") and finish in ("cancelled", "released"):
            self._bench.end([str(key)], wait=False)


@contextlib.contextmanager
def bench(station: Station) -> Iterator[Bench]:
    """What a worker runs labs with. At the end of the block they have ended.

    Raises:
        UsageError: another worker has the folder.
    """
    name = station.name or f"{os.uname().nodename}-{os.getpid()}"
    assert station.folder
    with _held(station.folder), (station.folder / "log").open("ab") as log:
        found = HERE["worker"] = Bench(station.folder, name, log)
        try:
            yield found
        finally:
            with signals.held_back():
                found.close()
            del HERE["worker"]


async def work(
    access: Access, station: Station, bench: Bench, ready: Callable[[str], None]
) -> None:
    """Take runs until the scheduler ends, or this is cancelled. ``ready`` gets the worker's name.

    Raises:
        LabError: there is no scheduler at that address, or it has ended.
    """
    quiet()
    room = slots.machine()
    labs = station.labs or room.cpus
    worker = Worker(
        access.address, name=bench.name, nthreads=labs, security=access.security(),
        local_directory=str(bench.folder / "engine"), memory_limit=0,
        resources={LABS: labs, MEMORY: station.memory or room.memory},
        plugins=(Watch(bench),), death_timeout=FIND, dashboard=False,
    )  # fmt: skip
    bench.tell = functools.partial(worker.log_event, TOPIC)
    try:
        with readable(access.address):
            await worker
        ready(bench.name)
        await worker.finished()
    finally:
        with contextlib.suppress(Exception):
            await worker.close(timeout=1, executor_wait=False)
    raise LabError(
        f"the scheduler at {access.address} has ended, or cannot be reached any more",
        hint="look at the network; start a cluster if there is none, then this worker again",
    )


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Have a worker's folder alone. What runs of a killed worker left there goes.

    Raises:
        UsageError: another worker has it.
    """
    private.folder(folder / "engine")
    held = files.try_lock(folder / "lock")
    if held is None:
        raise UsageError(f"another worker has the folder {folder}",
                         hint="name another with --folder")  # fmt: skip
    try:
        files.remove_tree(folder / "tasks")
        live.sweep()
        yield
    finally:
        os.close(held)


def play(task: Task, *parts: Part) -> CameBack:
    """Run a task. This is the function that the engine calls in a thread of a worker.

    Raises:
        LabError: the worker is not one of ours, or it cannot run a lab.
    """
    bench = HERE.get("worker")
    if bench is None:
        raise LabError(
            "a worker of the cluster was not started by cluster.worker",
            hint="end it, and start ./inv cluster.worker ADDRESS on that machine",
        )
    return bench.play(task, parts)


async def end_labs(keys: Sequence[str]) -> None:
    """End the labs of these tasks, if they run on this worker, and wait until they have ended."""
    if bench := HERE.get("worker"):
        await asyncio.to_thread(bench.end, keys)
