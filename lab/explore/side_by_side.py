"""Runs many jobs side by side on this machine, a given number at a time."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from lab.util import together

T = TypeVar("T")

#: What is to be done with one lab; the call returns when it is done.
Job: TypeAlias = Callable[[], T]


def processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class SideBySide:
    """Runs jobs in threads. ``jobs``: how many at a time; 0: one for each processor.

    Results come in the order of the jobs, whichever ends first. If a job raises an error, or
    Ctrl-C comes, no further job begins, and those that run are cancelled: an event loop of theirs
    gets ``CancelledError``, programs are killed. The error is raised when they have ended.
    """

    jobs: int = 0

    @property
    def at_once(self) -> int:
        """How many jobs run at a time."""
        return self.jobs or processors()

    def each(self, jobs: Sequence[Job[T]], done: Callable[[int, T], None] | None = None) -> list[T]:
        """Run all jobs. ``done`` gets the number and the result of each job that has ended, in the
        order in which they end, one call at a time; it is called in the job's thread."""
        guard = threading.Lock()

        def work(number: int, job: Job[T]) -> T:
            result = job()
            if done:
                with guard:
                    done(number, result)
            return result

        works = [functools.partial(work, number, job) for number, job in enumerate(jobs)]
        return together.all_of(works, self.at_once)
