"""`./inv soak`, at its CI size: uses labs in every way, and nothing grows."""

from __future__ import annotations

import json

import pytest

from lab.bench.soak import WAYS
from system.world import World


@pytest.mark.alone
def test_nothing_grows(world: World) -> None:
    """It uses each way at least once, and says what it did."""
    count = len(WAYS) + 3
    said = json.loads(world.run("soak", "--count", str(count), "--json").out)
    assert said["flat"], said
    assert said["labs"] == count
    assert said["last"]["processes"] == 0
