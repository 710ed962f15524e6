"""Fakes of this room: real executables on PATH that record how they were called."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

_FAKE = """#!{python}
import json, os, sys
with open({record!r}, "a") as stream:
    print(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]), file=stream)
{body}
"""


class Fakes:
    """``add`` puts a program on PATH; ``calls`` is what was run, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._record = folder / ".calls"

    def add(self, name: str, body: str = "") -> None:
        path = self.folder / name
        path.write_text(_FAKE.format(python=sys.executable, record=str(self._record), body=body))
        path.chmod(0o755)

    def calls(self, name: str) -> list[list[str]]:
        if not self._record.exists():
            return []
        lines = [json.loads(line) for line in self._record.read_text().splitlines()]
        return [line[1:] for line in lines if line[0] == name]


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fakes:
    """Nothing but fakes on PATH."""
    folder = tmp_path / "fakes"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return Fakes(folder)


@pytest.fixture
def said() -> tuple[list[str], Callable[[str], None]]:
    """What was told to the user, and the function that tells."""
    lines: list[str] = []
    return lines, lines.append


@pytest.fixture
def ordinary_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
