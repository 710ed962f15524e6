"""What ``lab.explore`` prints: failures, commands to paste, figures, and one last line."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import api
from lab.cli import exploring
from lab.explore.matrix import Task
from lab.explore.seeds import grouped
from lab.model import Layer, Verdict
from lab.scenario import failed

FAST = Task("fast", 100, 1, 0.001, 0.002, 0.004, 0.005)
RESULTS = (
    api.SeedResult(1, Verdict(True), tasks=(FAST,)),
    api.SeedResult(
        2, failed(Layer.GUEST, "item 7 waits"), "runs/race/x", "d", ("1: dom0 computes",),
        again="./inv lab.run race --seed 2", debug="./inv lab.debug race/x --before-failure",
    ),
)  # fmt: skip


def shown(capsys: pytest.CaptureFixture[str], *results: api.SeedResult) -> list[str]:
    outcome = api.Exploration("race", results, grouped(results), 12.3)
    exploring.show_explored(api.Explored(outcome, Path("runs/explore-race/y")))
    return capsys.readouterr().out.splitlines()


def test_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, *RESULTS)
    assert lines[0] == "failure 1 [guest]: item 7 waits"
    assert lines[1:4] == ["  1 of 2 seeds: 2", "  seed 2 fails with:", "    1: dom0 computes"]
    assert lines[4].endswith("in GDB:")
    assert lines[5:7] == [f"    {RESULTS[1].again}", f"    {RESULTS[1].debug}"]
    assert lines[7].split()[:2] == ["Task", "Figure"]
    assert lines[-2] == "FAIL race: 2 seeds, 1 failed, in 12 s"
    assert lines[-1].endswith("runs/explore-race/y/outcome.json")


def test_no_failure_and_no_traces(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, api.SeedResult(1, Verdict(True)))
    assert lines[0] == "PASS race: 1 seed, 0 failed, in 12 s"
    assert len(lines) == 2


def test_an_interrupted_exploration(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = api.Exploration("race", RESULTS[:1], (), 3.0, 40)
    exploring.show_explored(api.Explored(outcome, Path("runs/explore-race/y")))
    words = "INTERRUPTED race: 1 seed of 40, 0 failed, in 3 s"
    assert words in capsys.readouterr().out.splitlines()
