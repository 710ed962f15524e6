"""Shards: every lab is in exactly one, always the same one, and none has much more to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.explore import shards
from lab.explore.shards import Shard

NAMES = st.lists(st.text("abc-*", min_size=1), unique=True, max_size=20)
SECONDS = st.dictionaries(st.text("abc-*", min_size=1), st.floats(0, 1e6), max_size=20)


def test_a_shard_is_written_as_people_count() -> None:
    assert shards.parse("2/3") == Shard(2, 3)
    assert str(Shard(2, 3)) == "2/3"


@pytest.mark.parametrize("text", ["", "0/3", "4/3", "2", "1/0", "-1/3", "1/3 ", "1.0/3", "1/99999"])
def test_what_is_no_shard(text: str) -> None:
    assert shards.parse(text) is None


@given(NAMES, st.integers(1, 7), SECONDS)
def test_every_lab_is_in_exactly_one(names: list[str], count: int, took: dict[str, float]) -> None:
    """In the order in which the labs were asked for, and the same for every machine."""
    found = shards.parts(names, count, took)
    assert len(found) == count
    assert sorted(name for part in found for name in part) == sorted(names)
    assert all(part == [name for name in names if name in part] for part in found)
    assert found == shards.parts(names, count, dict(reversed(took.items())))


def test_the_parts_take_about_as_long() -> None:
    """A long lab is alone; without times, the parts have as many labs each."""
    names, took = ["a", "b", "c", "d", "e"], {"a": 10, "b": 60, "c": 20, "d": 30}
    loads = [sum(took.get(name, 25) for name in part) for part in shards.parts(names, 2, took)]
    assert max(loads) - min(loads) <= 25
    assert [len(part) for part in shards.parts(names, 3, {})] == [2, 2, 1]


@given(st.lists(st.integers(), unique=True), st.integers(1, 7))
def test_every_seed_is_in_exactly_one(seeds: list[int], count: int) -> None:
    found = [shards.every(seeds, Shard(number, count)) for number in range(1, count + 1)]
    assert sorted(one for part in found for one in part) == sorted(seeds)
    assert max(map(len, found)) - min(map(len, found)) <= 1
