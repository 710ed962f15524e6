"""`./inv soak`, at its CI size: uses labs in every way, and nothing grows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.bench.soak import WAYS
from system.world import World


@pytest.mark.alone
def test_nothing_grows(world: World) -> None:
    """It uses each way at least once, and says what it did. A lab of the user's own with the same
    name runs on, and keeps its runs."""
    world.run("lab.up", "hello")
    world.kept.add(world.id_of("hello"))
    try:
        before = json.loads(world.run("lab.status", "hello", "--json").out)
        soaked(world)
        after = json.loads(world.run("lab.status", "hello", "--json").out)
    finally:
        world.kept.clear()
        world.run("lab.down", "hello")
    assert (after["state"], after["run"]) == ("guests", before["run"])
    assert Path(before["run"]).is_dir()


def soaked(world: World) -> None:
    count = len(WAYS) + 3
    said = json.loads(world.run("soak", "--count", str(count), "--json").out)
    assert said["flat"], said
    assert said["labs"] == count
    assert said["last"]["processes"] == 0
