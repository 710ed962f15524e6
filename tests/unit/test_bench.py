"""Figures of the bench, computed from given times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.api import Context, Exploration, Explored, ExploreOptions, SeedResult
from lab.bench import instant, measure, races
from lab.errors import UsageError
from lab.model import Layer
from lab.scenario import failed


def test_a_part_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="there is no part"):
        measure.measure(Context(Path("labs.yaml")), 1, print, only=["nosuch"])


def test_many_labs_begin_with_the_first_start(tmp_path: Path) -> None:
    """Times count from the common start: a lab that begins late has answered late."""
    for name, (time, after) in {"one": (10.5, 0.5), "two": (13.0, 1.0)}.items():
        (tmp_path / name).mkdir()
        events = [{"event": "mark", "what": "qmp", "time": 1.0, "after": 9.0},
                  {"event": "mark", "what": "agent", "time": time, "after": after}]  # fmt: skip
        text = "".join(json.dumps(event) + "\n" for event in events)
        (tmp_path / name / "events.jsonl").write_text(text)
    both = [tmp_path / "one", tmp_path / "two"]
    assert instant.until_all_answer(both, began=9.5) == (3.5, 3.0)


def test_races_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A race that no seed shows misses its target, and so does a fixed one that a seed breaks."""
    bad = SeedResult(8, failed(Layer.GUEST, "item 7 waits"))

    def explore(context: Context, name: str, seeds: range, options: ExploreOptions) -> Explored:
        assert (context.file.name, seeds[0], options.shrink) == ("labs.yaml", 1, False)
        found = [bad] if name in ("lost-wakeup", "inversion-fixed") else []
        return Explored(Exploration(name, tuple(found)), tmp_path)

    monkeypatch.setattr(races, "explore", explore)
    found = list(races.measure(Context(tmp_path / "labs.yaml"), lambda _: None))
    assert [(one.name.split(",")[0], one.reached) for one in found] == [
        ("lost-wakeup", True), ("lost-wakeup-fixed", True),
        ("inversion", False), ("inversion-fixed", False),
    ]  # fmt: skip
