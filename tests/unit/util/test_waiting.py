"""Paths that appear, and what watches them."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

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
