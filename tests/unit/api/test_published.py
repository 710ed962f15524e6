"""The lock that ships publishes the labs that ship, and no lab of the same name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import api
from lab.api.results import Run
from lab.model import Verdict
from lab.packages import lock
from lab.scenario import Report

MADE_OF = {"guest hello": "a" * 16, "labs.yaml": "b" * 16, "kernel": "c" * 16}


def ran(folder: Path, made_of: dict[str, str]) -> Run:
    place = folder / "runs/hello/20260101-000000-abcd"
    place.mkdir(parents=True, exist_ok=True)
    (place / "manifest.json").write_text(json.dumps({"arch": "arm32", "fingerprint": made_of}))
    return Run(Report("hello", Verdict(True)), place, {}, "d")


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "shipped" / lock.NAME
    file.parent.mkdir()
    file.write_text(
        lock.dump(lock.Lock(snapshot="", runs={"hello": {"digest": "d", "made of": MADE_OF}}))
    )
    monkeypatch.setattr(lock, "resource", lambda _: file)
    return file


def test_a_lab_with_the_name_of_another_is_not_published(shipped: Path, tmp_path: Path) -> None:
    """A copy of the lab that ships is, also if its guest was changed."""
    context = api.Context(tmp_path / "labs.yaml")
    same = api.compare_with_published(context, ran(tmp_path, MADE_OF))
    assert same is not None
    assert same.same
    changed = ran(tmp_path, MADE_OF | {"guest hello": "e" * 16})
    assert api.compare_with_published(context, changed) is not None
    for other in (
        MADE_OF | {"labs.yaml": "e" * 16},
        {"guest pump": "a" * 16, "labs.yaml": "b" * 16, "kernel": "c" * 16},
    ):
        assert api.compare_with_published(context, ran(tmp_path, other)) is None
    (tmp_path / lock.NAME).write_text(shipped.read_text())
    assert api.compare_with_published(context, ran(tmp_path, other)) is not None
