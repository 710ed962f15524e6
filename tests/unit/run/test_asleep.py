"""A lab's record says that it sleeps before its machine stands still, and until it runs again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lab.machine import qmp
from lab.run import asleep
from lab.rundir import LabDir


def test_the_record_says_so_as_long_as_the_machine_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = LabDir(tmp_path / "lab")
    lab.make()
    lab.record(name="hello")
    seen: list[tuple[str, bool]] = []

    class Control:
        async def execute(self, command: str) -> None:
            seen.append((command, asleep.is_asleep(lab)))

    @contextlib.asynccontextmanager
    async def connected(socket: Path) -> AsyncIterator[Control]:
        assert socket == lab.qmp_socket
        yield Control()

    monkeypatch.setattr(qmp, "connected", connected)
    assert not asleep.is_asleep(lab)
    asyncio.run(asleep.put_to_sleep(lab))
    assert asleep.is_asleep(lab)
    asyncio.run(asleep.wake(lab))
    assert not asleep.is_asleep(lab)
    assert seen == [("stop", True), ("cont", True)]
