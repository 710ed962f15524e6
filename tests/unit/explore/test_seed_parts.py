"""An exploration as a file, and its parts joined again: the same as one that was never divided."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.explore import seed_parts, shards
from lab.explore.matrix import Task
from lab.explore.seeds import Asked, Exploration, SeedResult, grouped
from lab.explore.shards import Shard
from lab.model import ExitStatus, Layer, Verdict
from lab.scenario import failed

WAITS, CRASHED = failed(Layer.GUEST, "item 7 waits"), failed(Layer.GUEST, "crashed\n\x1b[1m")
FAST = Task("fast", 100, 1, 0.001, 0.002, 0.004, 5)


def result(seed: int, verdict: Verdict, changes: int) -> SeedResult:
    words = tuple(f"{number}: a pause" for number in range(1, changes + 1))
    return SeedResult(seed, verdict, f"runs/race/r{seed}", "d", words, (FAST,), f"run {seed}")


RESULTS = st.lists(
    st.tuples(st.sampled_from([Verdict(True), WAITS, CRASHED]), st.integers(0, 4)), max_size=24
)


def explored(results: list[SeedResult], seeds: tuple[int, ...], shard: str = "") -> Exploration:
    """As ``lab.explore`` makes it: of each group its first seed has been shrunk."""
    groups = tuple(
        replace(one, smallest=replace(one.results[0], again="fewer"), tried=one.results[0].seed)
        for one in grouped(results)
    )
    asked = Asked(seeds, shard, {"guest g": "aa"}, "d")
    return Exploration("race", tuple(results), groups, 2.0, len(results), asked)


@given(RESULTS, st.integers(1, 5))
def test_parts_are_joined_to_what_one_exploration_finds(
    said: list[tuple[Verdict, int]], count: int
) -> None:
    """With the same groups, in the same order, and the same smallest seed of each."""
    results = [result(seed, *one) for seed, one in enumerate(said, 1)]
    seeds = tuple(one.seed for one in results)
    parts = [
        explored(shards.every(results, Shard(number, count)), seeds, f"{number}/{count}")
        for number in range(1, count + 1)
    ]
    assert seed_parts.joined(parts[::-1]) == explored(results, seeds)


@given(RESULTS)
def test_a_file_says_all(said: list[tuple[Verdict, int]]) -> None:
    found = explored([result(seed, *one) for seed, one in enumerate(said, 1)], (1, 2), "1/2")
    data = json.loads(json.dumps(seed_parts.dump(found)))
    assert seed_parts.is_exploration(data)
    assert seed_parts.load(data) == found


def test_an_error_below_the_guests_keeps_its_status() -> None:
    found = explored([result(1, failed(Layer.QEMU, "QEMU ended"), 0)], (1,))
    again = seed_parts.load(json.loads(json.dumps(seed_parts.dump(found))))
    assert again.results[0].verdict.exit_status is ExitStatus.INFRASTRUCTURE


DAMAGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no results": lambda data: data.pop("results") and None,
    "results are no list": lambda data: data.update(results=3),
    "a lab elsewhere": lambda data: data.update(lab="../x"),
    "a lab with a line end": lambda data: data.update(lab="a\nb"),
    "a wrong shard": lambda data: data["asked"].update(shard="3/2"),
    "a seed that is text": lambda data: data["results"][0].update(seed="1"),
    "a truth for a number": lambda data: data.update(wanted=True),
    "no such layer": lambda data: data["results"][0]["verdict"].update(layer="moon"),
    "no such status": lambda data: data["results"][0]["verdict"].update(exit_status=77),
    "a run elsewhere": lambda data: data["results"][0].update(run="a/.."),
    "a command for the terminal": lambda data: data["results"][0].update(again="\x1b[2J"),
    "an empty group": lambda data: data["groups"][0].update(results=[]),
    "a group of seeds that pass": lambda data: data["results"][0]["verdict"].update(passed=True),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_refused(damage: Callable[[dict[str, Any]], Any]) -> None:
    data = json.loads(json.dumps(seed_parts.dump(explored([result(1, WAITS, 1)], (1,)))))
    damage(data)
    with pytest.raises(ValueError, match="not an exploration"):
        seed_parts.load(data)
