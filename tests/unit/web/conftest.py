"""Fixtures of the tests of the workshop's page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lab import rundir
from web.serving import SOON, Run, Served, serving


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a coroutine function with a class that is served."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setattr(rundir, "runtime_root", lambda: runtime)

    def go(test: Callable[[Served], Awaitable[None]]) -> None:
        async def around() -> None:
            async with serving(tmp_path) as one:
                await asyncio.wait_for(test(one), SOON)

        asyncio.run(around())

    return go
