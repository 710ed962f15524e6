"""Runs many jobs side by side on this machine, a given number at a time."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from lab.util import together

T = TypeVar("T")

#: What is to be done with one lab; the call returns when it is done.
Job: TypeAlias = Callable[[], T]

#: The longest turn of a thread, in seconds, while others wait for theirs.
TURN = 0.0005


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
        with _quick_turns():
            return together.all_of(works, self.at_once)


@contextlib.contextmanager
def _quick_turns() -> Iterator[None]:
    """Python's threads take turns more often while the block runs: a job mostly waits for its
    machine, and what it does then is short."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, TURN))
    try:
        yield
    finally:
        sys.setswitchinterval(before)
