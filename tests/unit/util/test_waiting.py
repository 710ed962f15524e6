"""Paths that appear, and what watches them."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from lab.errors import MachineError
from lab.util import waiting


def test_one_gives_up_and_the_others_wait_on(tmp_path: Path) -> None:
    async def go() -> None:
        late = asyncio.create_task(waiting.appears(tmp_path / "late"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await waiting.appears(tmp_path / "never")
        assert not late.done()
        (tmp_path / "late").touch()
        async with asyncio.timeout(10.0):
            await late
            await waiting.appears(tmp_path / "late")

    asyncio.run(go())


def test_too_many_instances_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("asyncinotify.Inotify", refused)
    with pytest.raises(MachineError, match="files cannot be watched") as caught:
        waiting.open_inotify()
    assert "max_user_instances" in (caught.value.hint or "")


def test_work_that_ends_when_nobody_waits_any_more() -> None:
    """It was called off twice meanwhile, as when an event loop ends. Nothing complains."""
    begun, may_end, said = threading.Event(), threading.Event(), list[dict[str, Any]]()

    def work() -> None:
        begun.set()
        may_end.wait(60)

    async def go() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: said.append(context))
        task = asyncio.create_task(waiting.in_thread(work))
        await waiting.in_thread(begun.wait)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([task])
        (thread,) = (one for one in threading.enumerate() if one.name == "work")
        may_end.set()
        await waiting.in_thread(thread.join)
        await asyncio.sleep(0)

    asyncio.run(go())
    assert said == []
