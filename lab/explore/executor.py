"""Runs many coroutines in one event loop, and returns the results in the order of the jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from lab.util import signals

T = TypeVar("T")

#: What is to be done with one lab: many of them can be under way in one thread.
AsyncJob: TypeAlias = Callable[[], Coroutine[Any, Any, T]]


@dataclass(frozen=True)
class Here:
    """Runs jobs in this process. ``at_once``: how many run at a time."""

    at_once: int = 1

    def together(self, jobs: Sequence[AsyncJob[T]], done: Callable[[int], None]) -> list[T]:
        """Run all jobs and return all results. ``done`` hears how many jobs have ended.

        If a job fails or an interrupt comes, the other jobs are cancelled. The error is raised
        when they have ended.
        """
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
