"""The outcome of an exploration: groups of failures, and figures over seeds."""

from __future__ import annotations

import json
from dataclasses import replace

from lab.cli.output import plain
from lab.explore.matrix import Task
from lab.explore.seeds import Exploration, SeedResult, grouped
from lab.model import Layer, Verdict
from lab.scenario import failed

PASS = Verdict(True)


def bad(seed: int, reason: str, disturbances: int = 1, layer: Layer = Layer.GUEST) -> SeedResult:
    words = tuple(f"{n}: dom0 computes" for n in range(1, disturbances + 1))
    return SeedResult(seed, failed(layer, reason), f"runs/lab/{seed}", "d", words)


def test_failures_that_differ_only_in_numbers_are_one_kind() -> None:
    """The group begins with the seed that has the fewest disturbances."""
    found = [
        bad(4, "failed after 1.204 s: item 7 waits", 5), bad(9, "not seen within 5 s"),
        SeedResult(1, PASS), bad(2, "failed after 0.3 s: item 12 waits", 2),
        bad(7, "not seen within 5 s", layer=Layer.XEN),
    ]  # fmt: skip
    first, *others = grouped(found)
    assert first.seeds == (2, 4)
    assert first.reason == "failed after 0.3 s: item 12 waits"
    assert [(one.layer, one.seeds) for one in others] == [(Layer.GUEST, (9,)), (Layer.XEN, (7,))]


def test_many_seeds_are_not_all_named() -> None:
    results = [replace(bad(seed, "x"), again=f"run {seed}") for seed in range(1, 12)]
    (group,) = grouped(results)
    assert group.some_seeds == "1, 2, 3, 4, 5, 6, 7, 8 and 3 more"
    assert [one.seed for one in group.shown] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_smallest_is_shown_first_and_no_command_twice() -> None:
    results = [replace(bad(seed, "x"), again=f"run {seed}") for seed in (1, 2)]
    (group,) = grouped(results)
    kept = replace(results[0], again="run 1 --keep 2")
    shown = [one.again for one in replace(group, smallest=kept).shown]
    assert shown == ["run 1 --keep 2", "run 1", "run 2"]
    assert len(replace(group, smallest=results[0]).shown) == 2


def task(jitter: float, misses: int) -> tuple[Task, ...]:
    return (Task("fast", 100, misses, jitter / 4, jitter / 2, jitter, 2 * jitter),)


def test_figures_name_the_seed_that_had_the_most() -> None:
    """Of equal seeds it is the first one."""
    outcome = Exploration("lab", (
        SeedResult(3, PASS, tasks=task(0.001, 0)), SeedResult(4, PASS, tasks=task(0.004, 2)),
        SeedResult(5, PASS, tasks=task(0.002, 2)), bad(6, "x"),
    ))  # fmt: skip
    header, rows = outcome.figures_table()
    assert header == ["Task", "Figure", "Least", "Median", "Most", "Seed"]
    assert rows[1] == ["fast", "release jitter, most", "1.00 ms", "2.00 ms", "4.00 ms", "4"]
    assert rows[3] == ["fast", "missed deadlines", "0", "2", "2", "4"]
    assert Exploration("lab", (bad(6, "x"),)).figures_table()[1] == []


def test_the_summary_is_json() -> None:
    results = (SeedResult(1, PASS, tasks=task(0.001, 0)), bad(2, "x"))
    outcome = Exploration("lab", results, grouped(results))
    found = json.loads(json.dumps(outcome.summary(), default=plain))
    assert (found["seeds"], found["passed"]) == (2, 1)
    assert found["failed"][0]["seed"] == found["groups"][0]["seeds"][0] == 2
    assert found["figures"][0]["task"] == "fast"
