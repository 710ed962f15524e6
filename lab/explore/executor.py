"""Who runs many labs: an executor takes jobs and returns their results, in the jobs' order.

There is one so far, :data:`here`: this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar

from lab.util import signals

T = TypeVar("T")

#: One lab's part of the work: a call that returns when its run is over.
Job: TypeAlias = Callable[[], T]
#: The same as a coroutine, so that one thread can have many under way.
Start: TypeAlias = Callable[[], Coroutine[Any, Any, T]]


class Executor(Protocol):
    """Runs jobs. An error of a job is raised in place of its result, and no further one begins."""

    def each(self, jobs: Iterable[Job[T]]) -> Iterator[T]:
        """The results, one after the other. A job begins when its result is asked for."""

    def together(self, jobs: Sequence[Start[T]], done: Callable[[int], None]) -> list[T]:
        """All results at once. ``done`` is told how many jobs have ended.

        An error, or an interrupt, ends the other jobs too; it is raised when they have ended.
        """


@dataclass(frozen=True)
class Here:
    """Runs jobs in this process. ``at_once``: how many of those that run together."""

    at_once: int = 1

    def each(self, jobs: Iterable[Job[T]]) -> Iterator[T]:
        return (job() for job in jobs)

    def together(self, jobs: Sequence[Start[T]], done: Callable[[int], None]) -> list[T]:
        return signals.run(self._gathered(jobs, done))

    async def _gathered(self, jobs: Sequence[Start[T]], done: Callable[[int], None]) -> list[T]:
        gate = asyncio.Semaphore(self.at_once)

        async def in_turn(job: Start[T]) -> T:
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
