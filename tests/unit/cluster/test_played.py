"""What a worker's process keeps from one run for the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.api import far, played
from lab.api.context import Context
from lab.packages import lock


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(played, "_shared", {})


def order(folder: Path, text: str = "labs: {}\n") -> Context:
    """The folder of an order, as a worker makes it."""
    folder.mkdir()
    (folder / "labs.yaml").write_text(text)
    (folder / lock.NAME).write_text("{}")
    return Context(folder / "labs.yaml")


def how(**changes: Any) -> dict[str, Any]:
    return far.options(Context(), None, cold=False) | changes


def test_runs_of_the_same_things_share_them(tmp_path: Path) -> None:
    """Whatever their folders and their seeds are."""
    first = played._common(order(tmp_path / "a"), how())
    assert played._common(order(tmp_path / "b"), how()) is first
    assert played._common(order(tmp_path / "c"), how(seed=7, keep=(1,))) is first


def test_runs_of_other_things_do_not(tmp_path: Path) -> None:
    first = played._common(order(tmp_path / "a"), how())
    assert played._common(order(tmp_path / "b", "labs: {one: {}}\n"), how()) is not first
    assert played._common(order(tmp_path / "c"), how(arch="arm64")) is not first


def test_only_the_last_few_are_kept(tmp_path: Path) -> None:
    """A worker serves many commands, one after another."""
    for number in range(2 * played.KEPT):
        played._common(order(tmp_path / str(number), f"# {number}\n"), how())
    assert len(played._shared) == played.KEPT
    last = played._common(order(tmp_path / "last", f"# {2 * played.KEPT - 1}\n"), how())
    assert last in played._shared.values()
    assert len(played._shared) == played.KEPT
