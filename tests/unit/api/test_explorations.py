"""An exploration: every seed runs, failures are shrunk, passing runs leave no folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kernel_files import zimage

from lab import api, rundir
from lab.api import explorations
from lab.api.context import like
from lab.errors import MachineError, UsageError
from lab.explore import variation
from lab.model import Clock, Layer, Plan, Verdict
from lab.scenario import Report, failed

LABS = """
guests: {g: {kernel: k.bin}, early: {kernel: k.bin, start: device-tree}}
labs:
  race: {guests: [g]}
  alone: {guests: [early], dom0: false}
  free: {guests: [g], clock: host}
"""
#: What the race needs: two pauses.
NEEDED = 2


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> api.Context:
    monkeypatch.setenv("LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "k.bin").write_bytes(zimage())
    (tmp_path / "labs.yaml").write_text(LABS)
    return api.Context(tmp_path / "labs.yaml")


def pauses(plan: Plan) -> int:
    return sum("is paused" in str(one) for one in plan.disturbances)


class Runs:
    """Runs that fail if at least two pauses are left. ``made``: seed and kept numbers of each."""

    def __init__(self, also: Verdict | None = None) -> None:
        self.made: list[tuple[int | None, tuple[int, ...] | None]] = []
        self._also = also

    def __call__(self, context: api.Context, name: str, clock: Clock) -> api.Run:
        assert clock is Clock.VIRTUAL
        self.made.append((context.seed, context.keep))
        plan = api.make_plan(context, name, clock)
        verdict = Verdict(True)
        if pauses(plan) >= NEEDED:
            verdict = failed(Layer.GUEST, f"item {context.seed} waits")
        if context.seed is None and self._also:
            verdict = self._also
        folder = rundir.new_run(context.runs, name)
        return api.Run(Report(name, verdict), folder.path, {}, "", plan.seed, plan.disturbances)


def explored(
    context: api.Context, monkeypatch: pytest.MonkeyPatch, seeds: range, runs: Any
) -> api.Explored:
    monkeypatch.setattr(explorations, "run", runs)
    return api.explore(context, "race", seeds, api.ExploreOptions(jobs=1))


def test_failing_seeds_are_found_and_shrunk(
    context: api.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = api.make_plan(context, "race", Clock.VIRTUAL)
    seeds = range(1, 31)
    wanted = tuple(s for s in seeds if pauses(variation.vary(plan, s)) >= NEEDED)
    assert 3 < len(wanted) < 25
    runs = Runs()
    result = explored(context, monkeypatch, seeds, runs)
    (group,) = result.outcome.groups
    assert (group.seeds, result.exit_status) == (wanted, 1)
    assert [seed for seed, _ in runs.made[:31]] == [None, *seeds]
    assert group.tried == len(runs.made) - 31
    smallest = group.smallest
    assert smallest
    assert len(smallest.disturbances) == NEEDED
    assert all("is paused" in one for one in smallest.disturbances)
    numbers = ",".join(one.partition(":")[0] for one in smallest.disturbances)
    assert f"lab.run race --seed {smallest.seed} --keep {numbers} --labs" in smallest.again
    left = {path.name for path in (context.runs / "race").iterdir() if not path.is_symlink()}
    failing = {Path(one.run).name for one in result.outcome.failed}
    assert failing | {Path(smallest.run).name} < left
    assert len(left) == len(failing) + 2, "and the run without a seed"
    assert len(json.loads((result.folder / "outcome.json").read_text())["results"]) == 30


def test_a_shard_takes_its_part_of_the_seeds(
    context: api.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its outcome says what it is a part of. A part without seeds passes."""
    runs = Runs()
    monkeypatch.setattr(explorations, "run", runs)
    options = api.ExploreOptions(jobs=1, shrink=False, shard="2/3")
    found = api.explore(context, "race", range(1, 9), options).outcome
    assert [seed for seed, _ in runs.made] == [None, 2, 5, 8]
    assert (found.asked.seeds, found.asked.shard) == (tuple(range(1, 9)), "2/3")
    assert "what explore of labs.yaml allows" in found.asked.made_of
    assert "3 seeds in shard 2/3" in found.last_line
    empty = api.explore(context, "race", [1], options)
    assert (empty.exit_status, empty.outcome.results) == (0, ())
    with pytest.raises(UsageError, match="'4/3' is no shard"):
        api.explore(context, "race", [1], api.ExploreOptions(shard="4/3"))


def test_an_error_of_one_seed_is_a_result(
    context: api.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not shrunk: it says nothing about the lab."""
    works = Runs()

    def run(context: api.Context, name: str, clock: Clock) -> api.Run:
        if context.seed == 2:
            raise MachineError("QEMU ended")
        return works(context, name, clock)

    result = explored(context, monkeypatch, range(1, 3), run)
    found = [one for one in result.outcome.groups if one.layer is Layer.QEMU]
    assert [(one.seeds, one.reason, one.smallest) for one in found] == [((2,), "QEMU ended", None)]
    assert result.exit_status == 3


def test_crashes_with_other_words_are_other_failures(
    context: api.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not so the last lines of another failure: they may be about anything."""

    def run(context: api.Context, name: str, clock: Clock) -> api.Run:
        assert clock is Clock.VIRTUAL
        tail = f"\n  *** {'odd' if (context.seed or 0) % 2 else 'even'} is wrong\nbacktrace"
        crashed = "g" if (context.seed or 9) < 4 else ""
        verdict = Verdict(True) if context.seed is None else failed(Layer.GUEST, "crashed", tail)
        folder = rundir.new_run(context.runs, name)
        return api.Run(Report(name, verdict, crashed=crashed), folder.path, {})

    result = explored(context, monkeypatch, range(1, 6), run)
    assert {(one.reason, one.seeds) for one in result.outcome.groups} == {
        ("crashed: *** odd is wrong", (1, 3)), ("crashed: *** even is wrong", (2,)),
        ("crashed", (4, 5)),
    }  # fmt: skip


def test_an_interrupt_keeps_what_is_known(
    context: api.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = Runs()

    def run(context: api.Context, name: str, clock: Clock) -> api.Run:
        if context.seed == 4:
            raise KeyboardInterrupt
        return works(context, name, clock)

    shown: list[api.Explored] = []
    junit = context.runs / "seeds.xml"
    monkeypatch.setattr(explorations, "run", run)
    options = api.ExploreOptions(1, junit=junit, interrupted=shown.append)
    with pytest.raises(KeyboardInterrupt):
        api.explore(context, "race", range(1, 9), options)
    (one,) = shown
    assert (len(one.outcome.results), one.outcome.not_run) == (3, 5)
    assert junit.read_text().count("<testcase") == 3
    (file,) = (context.runs / "explore-race").glob("2*/outcome.json")
    assert [one["seed"] for one in json.loads(file.read_text())["results"]] == [1, 2, 3]


def test_a_lab_that_fails_already_is_not_explored(
    context: api.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(also=failed(Layer.GUEST, "silent"))
    with pytest.raises(UsageError, match="fails without any disturbance: silent"):
        explored(context, monkeypatch, range(1, 3), runs)
    assert runs.made == [(None, None)]


def test_what_cannot_be_explored_is_refused_before_it_starts(
    context: api.Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs()
    monkeypatch.setattr(explorations, "run", runs)
    with pytest.raises(UsageError, match="no dom0"):
        api.explore(context, "alone", range(1, 3))
    with pytest.raises(UsageError, match="a seed needs the virtual clock"):
        api.explore(context, "free", range(1, 3))
    with pytest.raises(UsageError, match="no lab 'rac'"):
        api.explore(context, "rac", range(1, 3))
    with pytest.raises(UsageError, match="-1 runs cannot go on"):
        api.explore(context, "race", range(1, 3), api.ExploreOptions(jobs=-1))
    with pytest.raises(UsageError, match="no seed"):
        api.explore(context, "race", range(0))
    assert runs.made == []


def test_a_plan_starts_nothing(context: api.Context) -> None:
    assert list(api.explore_plan(context, "race", range(3, 9), "2/3")) == [4, 7]
    found = api.explore_plan(context, "race", range(3, 5))
    assert list(found) == [3, 4]
    assert all(words[0].startswith("1: ") for words in found.values() if words)


def test_what_cannot_be_different_is_said(context: api.Context) -> None:
    """A guest of another kernel, alone: no program of dom0's wakes it, and there is no budget."""
    found = api.explore_lacks(context, "race")
    assert list(found) == ["neighbour-load", "input", "order", "budget"]
    assert found["order"] == "the toolstack creates fewer than two guests"


def test_an_earlier_run_is_repeated_with_its_seed(context: api.Context) -> None:
    """Also if only some disturbances were kept, and if somebody changed the manifest."""
    said = {"arch": "arm32", "seed": 5, "disturbances": [{"number": 2}, {"number": 4}]}
    again = like(context, said)
    assert (again.seed, again.keep) == (5, (2, 4))
    assert like(context, {"seed": 5, "disturbances": []}).keep == ()
    plain = like(context, {"arch": "arm32"})
    assert (plain.seed, plain.keep) == (None, None)
    odd = like(context, {"seed": "x", "disturbances": [3]})
    assert (odd.seed, odd.keep) == (None, None)
