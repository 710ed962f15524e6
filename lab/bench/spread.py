"""Compares runs on a cluster of this machine, with one worker for each processor, with as many runs
side by side in one process."""

from __future__ import annotations

import contextlib
import functools
import queue
import statistics
from collections.abc import Callable
from dataclasses import replace

from lab.api import Cluster, Context, Size, cluster_up, repeat
from lab.bench.figure import Figure, at_least
from lab.errors import LabError
from lab.run import slots
from lab.util import together
from lab.util.deadline import Deadline

#: How many runs are timed at once, for each processor.
RUNS = 16
#: How many times as fast as side by side they must at least be.
RATIO = 0.9


class _Measured(Exception):
    """The cluster is needed no more."""


def measure(context: Context, name: str, rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Time the runs of a lab both ways, in turn.

    Raises:
        LabError: the cluster did not start, or a run was not like the others.
    """
    cpus = slots.machine().cpus
    ready: queue.SimpleQueue[str] = queue.SimpleQueue()
    ratios: list[float] = []

    def compare() -> None:
        with together.ended_by(lambda: ready.put("")):
            there = replace(context, cluster=Cluster(ready.get()))
        for one in (context, there):  # makes what is missing
            _seconds(one, name, cpus, cpus)
        for number in range(1, rounds + 1):
            say(f"round {number} of {rounds}: {RUNS * cpus} runs side by side, then on a cluster")
            beside = _seconds(context, name, RUNS * cpus, cpus)
            ratios.append(beside / _seconds(there, name, RUNS * cpus))
        raise _Measured

    works: list[Callable[[], None]] = [
        functools.partial(cluster_up, Size(cpus), "", lambda address, _: ready.put(address), say),
        compare,
    ]
    with contextlib.suppress(_Measured):
        together.all_of(works)
    what = f"runs on a cluster of {cpus} workers here, to side by side"
    return [at_least(what, statistics.median(ratios), "x", RATIO)]


def _seconds(context: Context, name: str, times: int, jobs: int = 0) -> float:
    clock = Deadline(0)
    found = repeat(context, name, times, jobs=jobs)
    if not found.same or len(found.runs) < times:
        raise LabError(f"the runs of lab {name} differ", hint=f"./inv lab.run {name} --repeat 3")
    return clock.elapsed()
