"""`./inv bench` measures what it says. How long things take is not tested."""

from __future__ import annotations

import json
from pathlib import Path

from lab.api import Context
from lab.bench import crowd, instant
from system.world import World


def test_a_part_of_it_prints_its_figures(world: World) -> None:
    """One round of labs without guests gives all figures, and a status that follows from them."""
    said = world.start("bench", "--only", "restored", "--rounds", "1", "--json").end()
    assert said.status in (0, 1), said.out + said.err
    figures = json.loads(said.out)
    assert said.status == int(any(one["reached"] is False for one in figures.values()))
    assert len(figures) == 9
    assert all(one["value"] > 0 for one in figures.values())
    assert figures["restored until the agent answers, to bare QEMU"]["target"] == "< 4"
    assert not world.labs() - world.kept


def test_a_crowd_and_its_digests(world: World) -> None:
    """The long parts, shortened: they count their labs and compare their runs."""
    labs = Path(world.folder / "labs.yaml")
    with instant.bare(Context(labs)) as context:
        assert [one.value for one in crowd.labs(context, "bare", print, 2)[1:]] == [2, 0]
    (figure,) = crowd.runs(Context(labs), print, ["hello"], 2)
    assert figure.reached
