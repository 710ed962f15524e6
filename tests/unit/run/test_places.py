"""Where places of a replay are stored, and which one is nearest."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.machine.template import Template
from lab.run.places import APART, MOST, NEAR, Place, Places
from lab.rundir import LabDir

BEGIN = 400_000_000


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """The places of a machine whose memory takes a megabyte of the disk."""
    monkeypatch.setattr("lab.run.live.ram_file", lambda _: tmp_path / "ram" / "lab")
    (tmp_path / "ram").mkdir()
    (tmp_path / "origin").mkdir()
    (tmp_path / "origin" / "ram").write_bytes(os.urandom(1 << 20))
    start: Any = SimpleNamespace(lab=LabDir(tmp_path / "lab"))
    return Places(start, Template(tmp_path / "origin", "key", 3, {}, {}))


@pytest.mark.parametrize("length", [APART, 3 * APART, 12 * APART, 100 * APART])
def test_the_places_of_a_run_are_in_order_and_not_too_many(found: Places, length: int) -> None:
    """From each to the next it is equally far, and from the last one to the end it is not."""
    wanted = found.wanted(BEGIN, BEGIN + length)
    assert wanted == sorted(wanted)
    assert 1 <= len(wanted) <= MOST
    assert wanted[0] > BEGIN
    assert wanted[-1] == BEGIN + length - NEAR
    apart = {later - one for one, later in itertools.pairwise(wanted)}
    assert not apart or apart == {max(APART, -(-length // MOST))}


@pytest.mark.parametrize("length", [0, 1000, NEAR, APART // 2])
def test_a_short_run_needs_none(found: Places, length: int) -> None:
    assert found.wanted(BEGIN, BEGIN + length) == []


@pytest.mark.parametrize(("room", "expected"), [(2, 0), (4, 1), (8, 3), (100, MOST)])
def test_a_disk_that_is_nearly_full_has_fewer_places(
    found: Places, monkeypatch: pytest.MonkeyPatch, room: int, expected: int
) -> None:
    """Those that are nearest to the end."""
    free = SimpleNamespace(free=room * (1 << 20) + 100_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: free)
    wanted = found.wanted(BEGIN, BEGIN + 100 * APART)
    assert len(wanted) == expected
    assert not wanted or wanted[-1] == BEGIN + 100 * APART - NEAR


def test_the_nearest_place_is_the_last_one_before(found: Places) -> None:
    one, other = (Place(at, 0, found._origin) for at in (BEGIN + 10, BEGIN + 20))
    found._found += [one, other]
    assert [found.nearest(BEGIN + at) for at in (9, 10, 19, 20, 99)] == [
        None, one, one, other, other]  # fmt: skip
