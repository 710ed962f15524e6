"""The executor of this process: jobs in order, and what happens to the others when one fails."""

from __future__ import annotations

import asyncio
import functools

import pytest

from lab.explore.executor import AsyncJob, Here


def test_results_keep_the_jobs_order_and_few_run_at_once() -> None:
    now = most = 0
    told: list[int] = []

    async def job(number: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        for _ in range(5 - number):  # the first ends last
            await asyncio.sleep(0)
        now -= 1
        return number

    jobs = [functools.partial(job, number) for number in range(5)]
    assert Here(at_once=2).together(jobs, told.append) == [0, 1, 2, 3, 4]
    assert most == 2
    assert max(told) == 5


def test_a_job_that_fails_ends_the_others_before_its_error_is_raised() -> None:
    ended: list[int] = []

    async def waits(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(number)

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("no lab")

    jobs: list[AsyncJob[None]] = [functools.partial(waits, 1), fails, functools.partial(waits, 2)]
    with pytest.raises(ValueError, match="no lab"):
        Here(at_once=3).together(jobs, lambda _: None)
    assert ended == [1, 2]
