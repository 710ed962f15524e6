"""Makes one exploration from the parts that several machines ran."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.api import outcomes
from lab.api.context import Context
from lab.api.explorations import Explored, kept
from lab.api.runs import make_way
from lab.errors import LabError, UsageError
from lab.explore import seed_parts, shards
from lab.explore.seeds import Exploration, SeedResult
from lab.run import fingerprint
from lab.util.resources import as_called
from lab.util.terminal import escape


@dataclass(frozen=True)
class _Part:
    place: Path
    outcome: Exploration

    def __str__(self) -> str:
        return escape(str(self.place))


def is_exploration(folder: Path) -> bool:
    """Whether a folder has the outcome of an exploration, and not that of many labs.

    Raises:
        UsageError: it has none, or several; the file is damaged.
    """
    return isinstance(outcomes.read(outcomes.place_of(folder)), Exploration)


def merge_explorations(
    context: Context, folders: Sequence[Path], junit: Path | None = None
) -> Explored:
    """What one exploration would have found, from the outcomes of all its shards.

    ``folders``: each a folder of ``runs/explore-NAME/``, or a copy of ``runs/``. ``junit``: also
    write a case for each seed there. Commands name the copies of run folders, if they are here.

    Raises:
        UsageError: a folder has no outcome, the parts do not belong together, or one is missing;
            ``junit`` cannot be written. LabError: the lab does not run the same everywhere.
    """
    if junit:
        make_way(junit)
    parts = [_Part(*one) for one in outcomes.parts(folders, Exploration)]
    for part in parts[1:]:
        _check(parts[0], part)
    _check_whole(parts)
    for part in parts:
        if part.outcome.not_run:
            context.progress.say(_interrupted(part))
    whole = seed_parts.joined([_here(part) for part in parts])
    return kept(context, whole, junit)


def _check(one: _Part, other: _Part) -> None:
    """Raise an error if two parts are not of one exploration."""
    differ = next(_differences(one.outcome, other.outcome), "")
    if differ:
        raise UsageError(
            f"{other} and {one} do not belong together: {differ}",
            hint="give each lab.explore the same lab, the same --seeds, and the same labs.yaml, "
            "sources and labs.lock",
        )
    here, there = one.outcome.asked.digest, other.outcome.asked.digest
    if here != there:
        raise LabError(
            f"the run without a seed is not the same in {one} and {other}, though it was made of "
            f"the same things: digests {here[:12]} and {there[:12]}",
            hint="compare the two machines: ./inv lab.run NAME --repeat 2",
        )


def _differences(one: Exploration, other: Exploration) -> Iterator[str]:
    mine, its = one.asked, other.asked
    if one.lab != other.lab:
        yield f"one is of lab {other.lab}, the other of lab {one.lab}"
    if mine.seeds != its.seeds:
        yield f"one is of the seeds {_span(its.seeds)}, the other of {_span(mine.seeds)}"
    counts = [shards.parse(one.shard) for one in (its, mine)]
    if [one and one.count for one in counts] != [counts[0] and counts[0].count] * 2:
        yield f"one is shard {its.shard or '1/1'}, the other {mine.shard or '1/1'}"
    if apart := fingerprint.difference(mine.made_of, its.made_of):
        yield f"their labs were made of different things: {escape(', '.join(apart))}"


def _span(seeds: Sequence[int]) -> str:
    """``1-60``; seeds that do not follow each other are named one by one."""
    if len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ", ".join(map(str, seeds[:8])) + (", …" if len(seeds) > 8 else "")


def _check_whole(parts: Sequence[_Part]) -> None:
    """Raise an error unless each shard is there, once."""
    places: dict[int, _Part] = {}
    first = shards.parse(parts[0].outcome.asked.shard)
    count = first.count if first else 1
    for part in parts:
        shard = shards.parse(part.outcome.asked.shard)
        other = places.setdefault(shard.number if shard else 1, part)
        if other is not part:
            raise UsageError(f"{other} and {part} are the same part: "
                             f"shard {part.outcome.asked.shard or '1/1'}",
                             hint="name each part once")  # fmt: skip
    absent = sorted(set(range(1, count + 1)) - places.keys())
    if absent:
        words = ", ".join(f"{number}/{count}" for number in absent)
        raise UsageError(f"parts of the exploration are not here: shard {words}",
                         hint="name what every shard left, also of those that failed")  # fmt: skip


def _interrupted(part: _Part) -> str:
    """What to do about a part that lacks seeds."""
    found = part.outcome
    shard = f" --shard {found.asked.shard}" if found.asked.shard else ""
    first, last = found.asked.seeds[0], found.asked.seeds[-1]
    command = f"./inv lab.explore {found.lab} --seeds {first}-{last}{shard}"
    return as_called(
        f"{part} was interrupted: {found.not_run} of its {found.wanted} seeds were not run; "
        f"run it again: {command}"
    )


def _here(part: _Part) -> Exploration:
    """The outcome of a part, whose commands name the copies of its run folders."""
    runs = part.place.parent.parent
    results = tuple(_moved(one, runs) for one in part.outcome.results)
    groups = [
        replace(group, smallest=group.smallest and _moved(group.smallest, runs))
        for group in part.outcome.groups
    ]
    return replace(part.outcome, results=results, groups=tuple(groups))


def _moved(one: SeedResult, runs: Path) -> SeedResult:
    """A result whose run folder is in ``runs``. If it is not, nothing names it."""
    if not one.run:
        return one
    name = "/".join(Path(one.run).parts[-2:])
    folder = runs / name
    if not folder.is_dir():
        return replace(one, run="", debug="")
    return replace(one, run=str(folder), debug=one.debug.replace(name, shlex.quote(str(folder))))
