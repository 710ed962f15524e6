"""A replay that is asked to stop at any moment."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab.machine.recording import Changes, Recording
from lab.machine.template import Template
from lab.progress import Progress
from lab.run.replay import Replay
from lab.run.start import Start
from lab.rundir import LabDir, RunDir


class FakeQmp:
    """Counts how often the machine was let run."""

    def __init__(self) -> None:
        self.ran = 0

    async def execute(self, command: str, _arguments: object = None) -> object:
        return {"icount": 100} if command == "query-replay" else {}

    async def run_to_stop(self, *_states: str) -> str:
        self.ran += 1
        return "paused"


def test_a_wish_to_stop_that_comes_while_it_connects(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The machine is not let run: it stands, and nobody else would stop it."""
    wish, control = asyncio.Event(), FakeQmp()

    @contextlib.asynccontextmanager
    async def connect() -> AsyncIterator[FakeQmp]:
        wish.set()
        yield control

    async def guarded(step: Awaitable[object], *_: object) -> object:
        return await step

    found = Template(tmp_path, "key", 1, {}, {})
    monkeypatch.setattr("lab.machine.template.find", lambda *_: found)
    replay = Replay(_start(tmp_path))
    replay._session = SimpleNamespace(  # type: ignore[assignment]
        sockets=SimpleNamespace(control=connect), guarded=guarded
    )
    replay.now = 100
    asyncio.run(asyncio.wait_for(replay.stand_at(5000, wish), 60))
    assert (control.ran, replay.now) == (0, 100)


def _start(tmp_path: Path) -> Start:
    recording = Recording(tmp_path / "recording", Changes())
    run, lab, nothing = RunDir(tmp_path / "run"), LabDir(tmp_path / "lab"), cast(Any, None)
    run.path.mkdir()
    return Start(nothing, nothing, lab, run, -1, Progress(quiet=True), recording)
