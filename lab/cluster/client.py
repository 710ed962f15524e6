"""Sends tasks to a cluster, and takes what comes back."""

from __future__ import annotations

import contextlib
import queue
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from distributed import Client

from lab.cluster import task as tasks
from lab.cluster.contents import Part
from lab.cluster.keys import Access, readable
from lab.cluster.quiet import quiet
from lab.cluster.task import CameBack, Task
from lab.cluster.worker import LABS, MEMORY, end_labs, play
from lab.errors import LabError, MachineError
from lab.util.deadline import Deadline

#: Seconds to connect.
CONNECT = 20.0
#: Seconds between two looks at which workers there are.
LOOK = 1.0
#: Seconds after which it is an error that no worker has room for what is left.
PATIENCE = 60.0
#: How often the engine tries a task again whose lab was killed.
AGAIN = 2
#: Seconds that workers have to end labs.
END = 60.0

#: Gets the number of a task and what came back of it.
Done = Callable[[int, CameBack], None]
#: Is told how far the tasks are, in words.
Note = Callable[[str], None]


def play_all(
    access: Access, all_of: Sequence[Task], parts: Mapping[str, Part], done: Done, note: Note
) -> None:
    """Run all tasks on a cluster. ``done`` is called as each comes back; ``parts`` by sha256.

    If anything is raised, by ``done`` or by an interrupt, the labs that still run are ended.

    Raises:
        LabError: there is no such cluster, it is lost, no worker has room for a minute, or a
            lab cannot be run.
    """
    quiet()
    with _connected(access) as client, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that an image is large
        _Sent(client, all_of, parts).take_all(done, note)


@contextlib.contextmanager
def _connected(access: Access) -> Iterator[Any]:
    with readable(access.address):
        client = Client(
            access.address, security=access.security(), timeout=CONNECT, set_as_default=False
        )
    try:
        yield client
    finally:
        with contextlib.suppress(Exception):
            client.close(timeout=CONNECT)


class _Sent:
    """Tasks on their way."""

    def __init__(self, client: Any, all_of: Sequence[Task], parts: Mapping[str, Part]) -> None:
        self._client = client
        self._ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._memory = {task.key: task.order.memory for task in all_of}
        self._parts = {
            sha: client.submit(tasks.same_part, part, key=f"part-{sha}")
            for sha, part in parts.items()
        }
        self._left = {self._submit(task): number for number, task in enumerate(all_of)}
        for one in self._left:
            one.add_done_callback(self._ended.put)

    def take_all(self, done: Done, note: Note) -> None:
        total, keys = len(self._left), [one.key for one in self._left]
        nobody = Deadline(PATIENCE)
        try:
            while self._left:
                note(f"{total - len(self._left)} of {total} back; {self._who()}")
                try:
                    future = self._ended.get(timeout=LOOK)
                except queue.Empty:
                    nobody = self._look(nobody)
                    continue
                back = self._result(future)
                done(self._left.pop(future), back)
                nobody = Deadline(PATIENCE)
            note(f"{total} of {total} back; {self._who()}")
        except BaseException:
            self._call_off(keys)
            raise

    def _submit(self, task: Task) -> Any:
        needed = [part for sha, part in self._parts.items() if sha in task.labs]
        room = {LABS: 1, MEMORY: task.order.memory}
        return self._client.submit(play, task, *needed, key=task.key, resources=room, retries=AGAIN)

    def _result(self, future: Any) -> CameBack:
        try:
            back: CameBack = future.result()
        except LabError:
            raise
        except Exception as error:
            words = f"the cluster could not run {future.key}: {type(error).__name__}: {error}"
            raise MachineError(words, hint="look at the logs of the workers") from error
        return back

    def _look(self, nobody: Deadline) -> Deadline:
        """Check that somebody can run what is left. Returns the deadline for that.

        Raises:
            LabError: nobody could, until the deadline; or the scheduler is lost.
        """
        if self._client.status != "running":
            raise LabError("the scheduler of the cluster was lost",
                           hint="start the cluster again")  # fmt: skip
        largest = max((one["resources"].get(MEMORY, 0) for one in self._workers()), default=0)
        needed = max(self._memory[one.key] for one in self._left)
        if largest >= needed:
            return Deadline(PATIENCE)
        if nobody.passed():
            why = f"has {needed >> 20} MB for a lab" if self._workers() else "is there"
            raise LabError(f"no worker of the cluster {why}, after {nobody.seconds:.0f} s",
                           hint="start one: ./inv cluster.worker ADDRESS")  # fmt: skip
        return nobody

    def _workers(self) -> list[Any]:
        return list(self._client.scheduler_info(n_workers=-1)["workers"].values())

    def _who(self) -> str:
        count = len(self._workers())
        return f"{count} worker{'' if count == 1 else 's'}"

    def _call_off(self, keys: Sequence[str]) -> None:
        """End the labs that run, and wait until they have ended."""
        with contextlib.suppress(Exception):
            self._client.cancel(list(self._left))
            self._client.run(end_labs, keys, on_error="ignore")
