"""Jobs side by side: results in order, few at a time; a failure or Ctrl-C ends all of them."""

from __future__ import annotations

import asyncio
import functools
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TypeVar

import pytest

from lab.explore.executor import AsyncJob
from lab.explore.side_by_side import Job, SideBySide, processors
from lab.util import signals

T = TypeVar("T")


def loops(*jobs: AsyncJob[T]) -> list[Job[T]]:
    """Each of these in an event loop of its own."""
    return [functools.partial(_in_loop, job) for job in jobs]


def _in_loop(job: AsyncJob[T]) -> T:
    return signals.run(job())


def test_results_keep_the_order_of_the_jobs() -> None:
    """The first ends last, and no more run at a time than were asked for."""
    now = most = 0
    second = threading.Event()

    async def job(number: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        if number == 0:
            await asyncio.to_thread(second.wait, 60)
        now -= 1
        return number * 10

    def told(number: int, _: object) -> None:
        ended.append(number)
        second.set()

    ended: list[int] = []
    jobs = [functools.partial(job, number) for number in range(4)]
    found = SideBySide(2).each(loops(*jobs), told)
    assert found == [0, 10, 20, 30]
    assert most <= 2
    assert ended[0] == 1
    assert sorted(ended) == [0, 1, 2, 3]


def test_functions_run_too() -> None:
    assert SideBySide(2).each([functools.partial(abs, number) for number in (-1, 2)]) == [1, 2]
    assert SideBySide(2).each([]) == []
    assert SideBySide().at_once == processors()


def test_a_job_that_fails_cancels_the_others() -> None:
    """Those that wait hear of it, and can clean up; those that have not begun never begin."""
    began, ended = threading.Event(), list[str]()

    async def waits() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            ended.append("cleaned up")
            raise

    async def fails() -> None:
        await asyncio.to_thread(began.wait, 60)
        raise ValueError("no lab")

    async def late() -> None:
        ended.append("never")

    with pytest.raises(ValueError, match="no lab"):
        SideBySide(2).each(loops(waits, fails, late))
    assert ended == ["cleaned up"]


INTERRUPTED = """
import asyncio, os
from lab.explore.side_by_side import SideBySide
from lab.util import signals
def say(words):
    os.write(1, words + b"\\n")
async def work():
    say(b"begun")
    try:
        await asyncio.Event().wait()
    finally:
        say(b"cleaned up")
try:
    SideBySide(2).each([lambda: signals.run(work())] * 3)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_ends_all(root: Path) -> None:
    """Both that run clean up; the third never begins."""
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], stdout=subprocess.PIPE, text=True, cwd=root
    )
    assert child.stdout
    for _ in range(2):
        assert child.stdout.readline() == "begun\n"
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=60)[0] == "cleaned up\ncleaned up\ninterrupted\n"
    assert child.returncode == 0
