"""One run as a task of the cluster: what it is made of, and what comes back."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass, field
from typing import Any

from lab import __version__
from lab.cluster.contents import Contents, Part
from lab.util import files

#: The topic of the engine's log that has a line for each run that ended, on any worker.
TOPIC = "xenlab-runs"


@dataclass(frozen=True)
class Order:
    """How a lab is to be run.

    Attributes:
        number: tells runs apart that are otherwise equal: which command, and which of its runs.
        options: how it is run, as ``lab.api.far`` names it.
        memory: what the lab takes of a worker, in bytes.
    """

    lab: str
    number: str
    options: dict[str, Any]
    memory: int


@dataclass(frozen=True)
class Task:
    """An order, with all that it needs except the parts, which travel by themselves.

    Attributes:
        labs: the text of labs.yaml with one lab.
        lock: the sha256 of the part that is labs.lock.
    """

    order: Order
    labs: str = field(repr=False)
    lock: str
    version: str = __version__

    @functools.cached_property
    def key(self) -> str:
        """The same for the same run: equal keys, equal digests."""
        return f"{self.order.lab}-{files.sha256_json(asdict(self))[:32]}"


@dataclass(frozen=True)
class CameBack:
    """What came of a task.

    Attributes:
        outcome: a pickled ``lab.api.Run``, or a ``LabError``.
        folder: the run's folder, as a tar archive; empty if there is none.
        worker: the name of the worker.
        digest: that of the run; empty if it has none.
        version: the version of xenlab there.
    """

    outcome: bytes = field(repr=False)
    folder: bytes = field(repr=False)
    worker: str
    digest: str = ""
    version: str = __version__


def make(order: Order, contents: Contents) -> Task:
    """The task of an order."""
    return Task(order, contents.labs, contents.lock)


def same_part(part: Part) -> Part:
    """A part, as a task of its own: so the engine can make it again on any worker."""
    return part
