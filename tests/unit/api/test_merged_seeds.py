"""Parts of an exploration become one; what is missing or does not belong there is named."""

from __future__ import annotations

import io
import json
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lab import api
from lab.api import outcomes
from lab.errors import LabError, UsageError
from lab.explore import seed_parts, seeds_markdown, shards
from lab.explore.outcome import Outcome
from lab.explore.seeds import Asked, Exploration, SeedResult, grouped
from lab.model import Layer, Verdict
from lab.progress import Progress
from lab.scenario import failed

SEEDS = tuple(range(1, 7))
MADE_OF = {"guest g": "aa", "toolchain": "bb"}


def result(seed: int) -> SeedResult:
    if seed % 3:
        return SeedResult(seed, Verdict(True))
    return SeedResult(
        seed, failed(Layer.GUEST, "item <b> waits"), f"runs/race/r{seed}", "d", ("1: a pause",),
        again=f"run --seed {seed}", debug=f"./inv lab.debug race/r{seed} --before-failure",
    )  # fmt: skip


def exploration(shard: str = "") -> Exploration:
    part = shards.parse(shard)
    results = [result(seed) for seed in (shards.every(SEEDS, part) if part else SEEDS)]
    asked = Asked(SEEDS, shard, MADE_OF, "d")
    return Exploration("race", tuple(results), grouped(results), 2.0, len(results), asked)


def left(folder: Path, found: Exploration) -> Path:
    """A copy of ``runs/`` as a job left it."""
    place = folder / f"explore-{found.lab}" / "20260101-000000-abcd"
    place.mkdir(parents=True)
    (place / outcomes.OUTCOME).write_text(json.dumps(seed_parts.dump(found)))
    return folder


@pytest.fixture
def context(tmp_path: Path) -> api.Context:
    return api.Context(tmp_path / "labs.yaml")


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    return [left(tmp_path / f"part-{k}", exploration(f"{k}/3")) for k in (1, 2, 3)]


def test_parts_give_what_one_exploration_gives(
    context: api.Context, parts: list[Path], tmp_path: Path
) -> None:
    file = tmp_path / "out" / "seeds.xml"
    found = api.merge_explorations(context, [parts[2], parts[0], parts[1]], file)
    assert [one.seed for one in found.outcome.results] == list(SEEDS)
    assert [(one.seeds, one.reason) for one in found.outcome.groups] == [((3, 6), "item <b> waits")]
    assert (found.exit_status, found.outcome.last_line) == (
        1, "FAIL race: 6 seeds, 2 failed, in 2 s",
    )  # fmt: skip
    assert len(ET.parse(file).getroot().findall("testsuite/testcase")) == 6
    assert found.folder.parent == context.runs / "explore-race"
    assert api.merge_explorations(context, [found.folder]).outcome == found.outcome
    assert all(api.is_exploration(one) for one in (*parts, found.folder))


def test_commands_name_the_copies_of_run_folders(context: api.Context, parts: list[Path]) -> None:
    """If a run's folder was not copied, its seed can be run again all the same."""
    (parts[2] / "race" / "r3").mkdir(parents=True)
    (group,) = api.merge_explorations(context, parts).outcome.groups
    three, six = group.results
    assert three.debug == f"./inv lab.debug {parts[2]}/race/r3 --before-failure"
    assert three.run == f"{parts[2]}/race/r3"
    assert (six.run, six.debug, six.again) == ("", "", "run --seed 6")


def test_a_part_that_was_interrupted_is_named(
    context: api.Context, parts: list[Path], tmp_path: Path
) -> None:
    """What it ran counts; but seeds that nobody ran did not pass."""
    whole = exploration("2/3")
    early = replace(whole, results=whole.results[:1], groups=grouped(whole.results[:1]))
    other = left(tmp_path / "other", early)
    said = io.StringIO()
    told = replace(context, progress=Progress(said))
    found = api.merge_explorations(told, [parts[0], other, parts[2]])
    assert (found.outcome.not_run, found.exit_status) == (1, 3)
    assert "was interrupted: 1 of its 2 seeds were not run" in said.getvalue()
    assert said.getvalue().endswith(
        "run it again: ./inv lab.explore race --seeds 1-6 --shard 2/3\n"
    )


OTHERS: dict[str, tuple[Callable[[Exploration], Exploration], str]] = {
    "lab": (lambda one: replace(one, lab="other"), "one is of lab other, the other of lab race"),
    "seeds": (
        lambda one: replace(one, asked=replace(one.asked, seeds=tuple(range(1, 9)))),
        "one is of the seeds 1-8, the other of 1-6",
    ),
    "count": (
        lambda one: replace(one, asked=replace(one.asked, shard="2/2")),
        "one is shard 2/2, the other 1/3",
    ),
    "guest": (
        lambda one: replace(one, asked=replace(one.asked, made_of=MADE_OF | {"guest g": "cc"})),
        "their labs were made of different things: guest g",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words"), OTHERS.values(), ids=OTHERS)
def test_parts_of_another_exploration_are_refused(
    context: api.Context, parts: list[Path], tmp_path: Path,
    change: Callable[[Exploration], Exploration], words: str,
) -> None:  # fmt: skip
    other = left(tmp_path / "other", change(exploration("2/3")))
    with pytest.raises(UsageError, match=f"do not belong together: {words}"):
        api.merge_explorations(context, [parts[0], other, parts[2]])


def test_a_lab_that_is_not_the_same_everywhere(
    context: api.Context, parts: list[Path], tmp_path: Path
) -> None:
    one = exploration("2/3")
    other = left(tmp_path / "other", replace(one, asked=replace(one.asked, digest="e")))
    with pytest.raises(LabError, match="the run without a seed is not the same in"):
        api.merge_explorations(context, [parts[0], other, parts[2]])


def test_all_parts_must_be_there_once(
    context: api.Context, parts: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="not here: shard 1/3, 3/3"):
        api.merge_explorations(context, [parts[1]])
    twice = shutil.copytree(parts[0], tmp_path / "again")
    with pytest.raises(UsageError, match="are the same part: shard 1/3"):
        api.merge_explorations(context, [*parts, twice])
    with pytest.raises(UsageError, match="nothing to merge"):
        api.merge_explorations(context, [])


def test_explorations_and_runs_of_labs_do_not_mix(
    context: api.Context, parts: list[Path], tmp_path: Path
) -> None:
    place = tmp_path / "runs-of-labs" / outcomes.PLACE / "20260101-000000-abcd"
    outcomes.write(place, Outcome(("one",), ()), b"<testsuites/>")
    labs = place.parent.parent
    assert not api.is_exploration(labs)
    with pytest.raises(UsageError, match=r"is of lab\.run, other parts are of lab\.explore"):
        api.merge_explorations(context, [parts[0], labs])
    with pytest.raises(UsageError, match=r"is of lab\.explore, other parts are of lab\.run"):
        api.merge(context, [labs, parts[0]])
    shutil.copytree(parts[0], labs, dirs_exist_ok=True)
    with pytest.raises(UsageError, match="several outcomes: many-runs, explore-race"):
        api.is_exploration(labs)
    assert api.is_exploration(labs / "explore-race")


def test_the_page_of_a_job_shows_no_markup_of_a_guest() -> None:
    page = seeds_markdown.markdown(exploration())
    assert page.startswith("### FAIL race")
    assert "| 3, 6 |" in page
    assert "<b>" not in page
