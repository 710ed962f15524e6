"""The moments at which a machine under the virtual clock is stopped and judged."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lab.run.virtual_time import StillStage


class Steps:
    """dom0 at a stop. Its sleep is exact except for a little."""

    def __init__(self) -> None:
        self.now = 5.0
        self.slept: list[float] = []

    async def sleep_until(self, now: float, within: float) -> None:
        assert within > 60
        self.slept.append(round(now - 5.0, 6))
        self.now = now + 1e-6


def stage_of(files: dict[str, Path]) -> tuple[StillStage, Steps]:
    steps = Steps()
    machine: Any = steps
    return StillStage(machine, files), steps


def test_often_at_first_and_exactly_at_the_end() -> None:
    """They count from the start of each step, and are exact."""
    stage, steps = stage_of({})

    async def go() -> None:
        for _ in range(3):
            await stage.wait(10.0, None)
        stage.begin()
        for _ in range(2):
            await stage.wait(10.0, None)
        await stage.wait(stage.now() + 0.01, None)

    asyncio.run(go())
    assert steps.slept == [0.05, 0.1125, 0.190625, 0.240625, 0.303125, 0.313125]
    assert stage.now() == pytest.approx(0.313125, abs=1e-12)


def test_what_is_done_takes_its_own_time() -> None:
    """While a command runs, the machine runs only for it, and does not sleep."""
    stage, steps = stage_of({})

    async def go() -> None:
        async def act() -> None:
            await asyncio.sleep(0)
            steps.now += 1.5

        task = asyncio.ensure_future(act())
        await stage.wait(0.1, task)
        assert task.done()

    asyncio.run(go())
    assert stage.now() == 1.5
    assert steps.slept == []


def test_all_that_is_there_is_read_at_once(tmp_path: Path) -> None:
    """All of it is read at the same virtual time, however much it is."""
    log = tmp_path / "a.log"
    log.write_bytes(b"line\n" * 500_000 + b"rest")
    stage, _ = stage_of({"a": log})
    lines, partial = stage.read()
    assert len(lines) == 500_000
    assert [line.raw for line in partial] == [b"rest"]
    stage.close()


def test_disturbances_come_before_the_moment_at_which_consoles_are_read() -> None:
    steps, told = Steps(), list[float]()

    class Disturber:
        first = 0.02

        async def until(self, at: float) -> None:
            told.append(round(at - 5.0, 6))
            steps.now += 0.5  # longer than until that moment

    machine: Any = steps
    disturber: Any = Disturber()
    stage = StillStage(machine, {}, disturber)
    asyncio.run(stage.wait(10.0, None))
    assert told == steps.slept == [0.02]
    assert stage.now() == 0.02
