"""An exploration as a file that another machine can read, and the parts of one joined again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, TypeVar

from lab.explore import shards
from lab.explore.matrix import Task
from lab.explore.seeds import Asked, Exploration, SeedGroup, SeedResult, grouped
from lab.model import ExitStatus, Layer, Verdict

#: A lab's name, and the folder of a run without the folder of all runs.
_LAB = re.compile(r"(?!\.)[^/]+")
_RUN = re.compile(r"(?:.*/)?(?!\.)[^/]+/(?!\.)[^/]+")
#: Fields that may have characters which a terminal does not print; all others are one plain line.
_ANY_TEXT = ("reason", "tail", "hint")
_KINDS: Mapping[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (int, float), "bool": (bool,),
}  # fmt: skip

T = TypeVar("T")


def dump(found: Exploration) -> dict[str, Any]:
    """As a file has it."""
    return asdict(found)


def is_exploration(found: Any) -> bool:
    """Whether a file's content is an exploration, and not the outcome of several labs."""
    return isinstance(found, dict) and "results" in found


def load(found: Any) -> Exploration:
    """What :func:`dump` made.

    Raises:
        ValueError: it is something else.
    """
    try:
        asked = _asked(found["asked"])
        results = tuple(_result(one) for one in found["results"])
        groups = tuple(_group(one, results) for one in found["groups"])
        made = _made(Exploration, found, results=results, groups=groups, asked=asked)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"not an exploration: {error}") from error
    if not _LAB.fullmatch(made.lab):
        raise ValueError("not an exploration: the name of the lab is wrong")
    return made


def _asked(found: Any) -> Asked:
    shard = shards.parse(found["shard"]) if found["shard"] else None
    if found["shard"] and not shard:
        raise ValueError("a wrong shard")
    made_of = {_plain("str", key): _plain("str", value) for key, value in found["made_of"].items()}
    seeds = tuple(_plain("int", one) for one in found["seeds"])
    return _made(Asked, found, seeds=seeds, made_of=made_of)


def _result(found: Any) -> SeedResult:
    said = found["verdict"]
    layer = Layer(said["layer"]) if said["layer"] else None
    verdict = _made(Verdict, said, layer=layer, exit_status=ExitStatus(said["exit_status"]))
    words = tuple(_plain("str", one) for one in found["disturbances"])
    tasks = tuple(_made(Task, one) for one in found["tasks"])
    made = _made(SeedResult, found, verdict=verdict, disturbances=words, tasks=tasks)
    if made.run and not _RUN.fullmatch(made.run):
        raise ValueError("a wrong run")
    return made


def _group(found: Any, results: Sequence[SeedResult]) -> SeedGroup:
    """A group of a file; its members are among the results already."""
    numbers = {_plain("int", one["seed"]) for one in found["results"]}
    members = [one for one in results if one.seed in numbers]
    smallest = _result(found["smallest"]) if found["smallest"] else None
    (group,) = grouped(members)
    return replace(group, smallest=smallest, tried=_plain("int", found["tried"]))


def _made(kind: type[T], found: Any, **ready: Any) -> T:
    """A dataclass from the plain fields of a file, and from those that are ready."""
    values = dict(ready)
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name not in ready:
            values[field.name] = _plain(str(field.type), found[field.name], field.name)
    return kind(**values)


def _plain(kind: str, value: Any, name: str = "") -> Any:
    if type(value) not in _KINDS[kind]:
        raise TypeError(f"{name or value!r} is wrong")
    if isinstance(value, str) and name not in _ANY_TEXT and not value.isprintable():
        raise ValueError(f"{name or 'a text'} has characters that cannot be printed")
    return value


def joined(parts: Sequence[Exploration]) -> Exploration:
    """The parts of one exploration as one. It took as long as the longest of them.

    A part has looked for the fewest disturbances of the first seed of each of its groups. So the
    first seed of a group of all parts has them already.
    """
    results = {one.seed: one for part in parts for one in part.results}
    ran = tuple(results[seed] for seed in sorted(results))
    shrunk = {group.results[0].seed: group for part in parts for group in part.groups}
    groups = []
    for group in grouped(ran):
        known = shrunk[group.results[0].seed]
        groups.append(replace(group, smallest=known.smallest, tried=known.tried))
    asked = replace(parts[0].asked, shard="")
    seconds = max(part.seconds for part in parts)
    return Exploration(parts[0].lab, ran, tuple(groups), seconds, len(asked.seeds), asked)
