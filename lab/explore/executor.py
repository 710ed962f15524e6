"""Many labs: an executor runs a job for each and returns the results, in the order of the jobs.

So far there is one executor: this process (:class:`Here`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from lab.util import signals

T = TypeVar("T")

#: What is to be done with one lab; the call returns when it is done.
Job: TypeAlias = Callable[[], T]
#: The same as a coroutine: many of them can be under way in one thread.
AsyncJob: TypeAlias = Callable[[], Coroutine[Any, Any, T]]


class Executor(Protocol):
    """Runs jobs. If a job fails, its error is raised, and no further job begins."""

    def each(self, jobs: Iterable[Job[T]]) -> Iterator[T]:
        """The results, one after the other. A job begins when its result is asked for."""

    def together(self, jobs: Sequence[AsyncJob[T]], done: Callable[[int], None]) -> list[T]:
        """Run all jobs and return all results. ``done`` hears how many jobs have ended.

        If a job fails or an interrupt comes, the other jobs are cancelled. The error is raised
        when they have ended.
        """


@dataclass(frozen=True)
class Here:
    """Runs jobs in this process. ``at_once``: how many run at a time in :meth:`together`."""

    at_once: int = 1

    def each(self, jobs: Iterable[Job[T]]) -> Iterator[T]:
        return (job() for job in jobs)

    def together(self, jobs: Sequence[AsyncJob[T]], done: Callable[[int], None]) -> list[T]:
        return signals.run(self._gathered(jobs, done))

    async def _gathered(self, jobs: Sequence[AsyncJob[T]], done: Callable[[int], None]) -> list[T]:
        gate = asyncio.Semaphore(self.at_once)

        async def in_turn(job: AsyncJob[T]) -> T:
            async with gate:
                return await job()

        tasks = [asyncio.ensure_future(in_turn(job)) for job in jobs]
        for task in tasks:
            task.add_done_callback(lambda _: done(sum(one.done() for one in tasks)))
        try:
            return list(await asyncio.gather(*tasks))
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise


#: This process, one lab after the other.
here = Here()
