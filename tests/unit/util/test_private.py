"""Folders that only this user may enter."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.machine import console_files
from lab.util import private


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_nobody_else_enters_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """Also one that was open. The rest of its mode stays."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o3775)
    before = os.umask(umask)
    try:
        private.folder(tmp_path / "deep" / "new")
        private.folder(tmp_path / "open")
        console_files.make_memory(tmp_path / "ram" / "id", 4096)
    finally:
        os.umask(before)
    assert mode(tmp_path / "deep/new") == 0o700
    assert mode(tmp_path / "open") == 0o3700
    assert (mode(tmp_path / "ram"), mode(tmp_path / "ram/id")) == (0o700, 0o600)


def test_that_of_another_user_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    tmp_path.chmod(0o755)
    monkeypatch.setattr(Path, "chmod", refused)
    private.folder(tmp_path)
    assert mode(tmp_path) == 0o755
