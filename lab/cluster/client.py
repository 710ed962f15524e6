"""Sends tasks to a cluster, and waits for what comes back."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from distributed import Client

from lab.cluster import task as tasks
from lab.cluster.contents import Part
from lab.cluster.keys import Access, readable
from lab.cluster.quiet import quiet
from lab.cluster.task import TOPIC, CameBack, Task
from lab.cluster.worker import LABS, MEMORY, end_labs, play
from lab.errors import LabError, MachineError
from lab.util import together
from lab.util.deadline import Deadline

#: Seconds to connect.
CONNECT = 20.0
#: Seconds between two looks at which workers there are.
LOOK = 2.0
#: Seconds after which it is an error that no worker has room for a lab.
PATIENCE = 60.0
#: How often the engine tries a task again whose lab was killed.
AGAIN = 2


@contextlib.contextmanager
def connected(access: Access) -> Iterator[Connection]:
    """A connection to a cluster. Labs that still run for it when the block ends are ended.

    Raises:
        LabError: there is no such cluster.
    """
    quiet()
    with readable(access.address):
        client = Client(
            access.address, security=access.security(), timeout=CONNECT, set_as_default=False
        )
    connection = Connection(client)
    try:
        yield connection
    finally:
        connection.call_off()
        with contextlib.suppress(Exception):
            client.close(timeout=CONNECT)


class Connection:
    """A cluster that we are connected to. Several threads may use it at the same time."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._parts: dict[str, Any] = {}
        #: What has not come back, by key.
        self._open: dict[str, Any] = {}
        self._done: set[str] = set()
        self._guard = threading.Lock()

    def labs(self) -> int:
        """How many labs the workers that are there now run at once."""
        return int(sum(one["resources"].get(LABS, 0) for one in self._workers()))

    def play(self, task: Task, parts: Mapping[str, Part], note: Callable[[str], None]) -> CameBack:
        """Have a worker run a task; ``parts`` by sha256. ``note`` is told what it waits for.

        Raises:
            LabError: the cluster was lost, no worker has room for a minute, or none could run it.
            CalledOff: other work has failed. The lab ends when the connection does.
        """
        ended = threading.Event()
        future = self._submit(task, parts)
        future.add_done_callback(lambda _: ended.set())
        nobody = Deadline(PATIENCE)
        with together.ended_by(ended.set):
            while not ended.wait(LOOK):
                nobody = self._look(task, nobody, note)
        back = self._result(future)
        with self._guard:
            del self._open[task.key]
            self._done.add(task.key)
        return back

    def twice(self) -> list[str]:
        """The runs that the engine did twice, with different digests; in words."""
        found: dict[str, dict[str, str]] = {}
        for _, event in self._client.get_events(TOPIC):
            if event["key"] not in self._done:  # of another command
                continue
            found.setdefault(event["key"], {})[event["digest"]] = event["on"]
        return [
            f"{key} ran on {' and '.join(digests.values())}, with different digests"
            for key, digests in found.items()
            if len(digests) > 1
        ]

    def call_off(self) -> None:
        """End the labs that run for us, and wait until they have ended.

        If the scheduler is lost, this is the workers' task: the engine would wait for it in vain.
        """
        with self._guard:
            left, self._open = self._open, {}
        if left and self._client.status == "running":
            with contextlib.suppress(Exception):
                self._client.cancel(list(left.values()))
                self._client.run(end_labs, list(left), on_error="ignore")

    def _submit(self, task: Task, parts: Mapping[str, Part]) -> Any:
        room = {LABS: 1, MEMORY: task.order.memory}
        with self._guard, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it advises against sending large things
            for sha in parts.keys() - self._parts.keys():
                self._parts[sha] = self._client.submit(
                    tasks.same_part, parts[sha], key=f"part-{sha}"
                )
            needed = [self._parts[sha] for sha in parts]
            future = self._client.submit(
                play, task, *needed, key=task.key, resources=room, retries=AGAIN
            )
            self._open[task.key] = future
            return future

    def _result(self, future: Any) -> CameBack:
        try:
            back: CameBack = future.result()
        except LabError:
            raise
        except (concurrent.futures.CancelledError, asyncio.CancelledError) as error:
            raise self._lost() from error
        except Exception as error:
            words = f"the cluster could not run {future.key}: {type(error).__name__}: {error}"
            raise MachineError(words, hint="look at the logs of scheduler and workers") from error
        return back

    def _look(self, task: Task, nobody: Deadline, note: Callable[[str], None]) -> Deadline:
        """Check that somebody can run a task. Returns the deadline for that.

        Raises:
            LabError: nobody could, until the deadline; or the scheduler is lost.
        """
        if self._client.status != "running":
            raise self._lost()
        workers = self._workers()
        if any(one["resources"].get(MEMORY, 0) >= task.order.memory for one in workers):
            note(f"{len(workers)} workers" if len(workers) > 1 else "1 worker")
            return Deadline(PATIENCE)
        needed = f"has {task.order.memory >> 20} MB for lab {task.order.lab}"
        why = f"no worker {needed}" if workers else "there is no worker"
        note(why)
        if nobody.passed():
            raise LabError(f"{why}; waited for {nobody.seconds:.0f} s",
                           hint="start one on a machine: ./inv cluster.worker ADDRESS")  # fmt: skip
        return nobody

    def _lost(self) -> LabError:
        return LabError(
            "the scheduler of the cluster was lost",
            hint="start the cluster again; what came back is in runs/",
        )

    def _workers(self) -> list[Any]:
        return list(self._client.scheduler_info(n_workers=-1)["workers"].values())
