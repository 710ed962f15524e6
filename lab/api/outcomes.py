"""Keeps what many runs came to in a folder that can be carried to another machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lab.api.beside import verdict_words
from lab.api.context import Context
from lab.api.repetition import compare_with_published
from lab.api.results import Run
from lab.errors import UsageError
from lab.explore import outcome, seed_parts, shards
from lab.explore.outcome import Outcome, Row
from lab.explore.seeds import Exploration
from lab.explore.shards import Shard
from lab.run import digest
from lab.run.digest import Difference
from lab.rundir import RunDir
from lab.scenario import junitxml
from lab.util import files, reading
from lab.util.terminal import escape, quote

Part = TypeVar("Part", Outcome, Exploration)

#: The folder of these folders, beside those of the labs' runs.
PLACE = "many-runs"
#: How the folders of explorations begin.
EXPLORED = "explore-"
#: The largest outcome, in bytes: an exploration of many seeds has a line for each.
MOST = 256 << 20
#: The files in each.
OUTCOME, TABLE, JUNIT = "outcome.json", "table.md", "junit.xml"
#: How long each lab took, beside labs.yaml.
TIMES = "times.json"


@dataclass(frozen=True)
class Differing:
    """Two runs of one lab with different digests. ``difference``: the first line in which they
    differ; ``None`` if their folders are not here."""

    one: Row
    other: Row
    difference: Difference | None = None

    def summary(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "lab": self.one.lab,
            "runs": [self.one.run, self.other.run],
            "difference": str(self.difference) if self.difference else None,
        }

    def __str__(self) -> str:
        words = f"{self.one.lab}: {self.one.run} and {self.other.run} have different digests"
        return f"{words}\n  they differ in {self.difference}" if self.difference else words


def row_of(context: Context, made: Run, seconds: float) -> Row:
    """A run as a row of the table. ``seconds``: how long it took on the host."""
    verdict, compared = made.report.verdict, compare_with_published(context, made)
    published = "none" if compared is None else "same" if compared.same else "differs"
    return Row(
        made.report.lab, made.report.title, verdict_words(made), int(verdict.exit_status),
        verdict.reason, round(made.report.seconds, 6), round(seconds, 3), made.digest, published,
        f"{made.run.parent.name}/{made.run.name}",
    )  # fmt: skip


def compared(rows: Sequence[Row], place: Callable[[Row], Path]) -> tuple[Differing, ...]:
    """The runs of one lab whose digests differ. ``place``: the folder of a run."""
    return tuple(
        Differing(one, other, _difference(place(one), place(other)))
        for one, other in outcome.differing(rows)
    )


def _difference(one: Path, other: Path) -> Difference | None:
    if not (one.is_dir() and other.is_dir()):
        return None
    return digest.difference(RunDir(one), RunDir(other))


def keep(folder: Path, found: Outcome, runs: Sequence[Run]) -> None:
    """Write the outcome, the table and the JUnit file."""
    write(folder, found, junitxml.junit([one.report for one in runs]))


def write(folder: Path, found: Outcome, junit: bytes) -> None:
    """The same with a JUnit file that is made already."""
    text = json.dumps(outcome.dump(found), indent=1) + "\n"
    files.write_atomic(folder / OUTCOME, text)
    files.write_atomic(folder / TABLE, outcome.markdown(found.rows))
    files.write_atomic(folder / JUNIT, junit)


def place_of(folder: Path) -> Path:
    """Where an outcome is: in this folder, or the newest one of a folder of runs, or of a folder
    that has one.

    Raises:
        UsageError: there is none, or there are several: of many labs, and of explorations.
    """
    if newest := _newest(folder):
        return newest
    kinds = [
        one
        for runs in (folder, folder / "runs")
        for one in (runs / PLACE, *sorted(runs.glob(f"{EXPLORED}*")))
        if _newest(one)
    ]
    if len(kinds) > 1:
        words = ", ".join(one.name for one in kinds)
        raise UsageError(f"{escape(str(folder))} has several outcomes: {escape(words)}",
                         hint=f"name one of them: {escape(str(kinds[0]))}")  # fmt: skip
    for one in kinds:
        if newest := _newest(one):
            return newest
    raise UsageError(
        f"no outcome of runs is in {escape(str(folder))}",
        hint="name what lab.run or lab.explore left: a copy of runs/, or a folder of "
        f"runs/{PLACE}/ or runs/{EXPLORED}NAME/",
    )


def _newest(place: Path) -> Path | None:
    """The folder of an outcome: this one, or the newest in it."""
    found = sorted(file.parent for file in place.glob(f"*/{OUTCOME}"))  # copies lose their links
    for one in (place, place / "latest", *reversed(found)):
        if (one / OUTCOME).is_file():
            return one.resolve()
    return None


def shard_of(word: str) -> Shard | None:
    """The shard that a word such as ``2/3`` means; ``None`` if it is empty.

    Raises:
        UsageError: it means none.
    """
    found = shards.parse(word)
    if word and found is None:
        raise UsageError(f"{quote(word)} is no shard", hint="K/N: 2/3 is the second part of three")
    return found


def read(place: Path) -> Outcome | Exploration:
    """The outcome in a folder: of many labs, or of an exploration.

    Raises:
        UsageError: the file is damaged.
    """
    file = place / OUTCOME
    try:
        found = reading.json_file(file, MOST)
        if seed_parts.is_exploration(found):
            return seed_parts.load(found)
        return outcome.load(found)
    except (OSError, ValueError) as error:
        hint = "copy it again; lab.run or lab.explore has written it"
        raise UsageError(f"{escape(str(file))}: {error}", hint=hint) from error


def parts(folders: Iterable[Path], kind: type[Part]) -> list[tuple[Path, Part]]:
    """The outcomes in folders that are to be merged, each once, with their places.

    Raises:
        UsageError: there is none, or one is of another kind; as for :func:`read`.
    """
    explored = issubclass(kind, Exploration)
    ours, others = ("lab.explore", "lab.run") if explored else ("lab.run", "lab.explore")
    found = []
    for place in dict.fromkeys(map(place_of, folders)):
        one = read(place)
        if not isinstance(one, kind):
            raise UsageError(f"{escape(str(place))} is of {others}, other parts are of {ours}",
                             hint="merge them one after the other")  # fmt: skip
        found.append((place, one))
    if not found:
        raise UsageError("nothing to merge", hint=f"name the folders that {ours} left")
    return found


def times(context: Context) -> dict[str, float]:
    """How long each lab took, from ``times.json`` beside labs.yaml; empty if there is none.

    Raises:
        UsageError: the file is damaged.
    """
    file = context.file.absolute().parent / TIMES
    try:
        found = reading.json_file(file)
        return {str(name): float(seconds) for name, seconds in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        hint = "remove it; lab.merge --times writes it again"
        raise UsageError(f"{escape(str(file))}: {error}", hint=hint) from error


def write_times(context: Context, rows: Sequence[Row]) -> Path:
    """Write how long each lab took into ``times.json``; returns the file. Labs that are not in
    ``rows`` keep their time."""
    took = {row.name: row.seconds for row in rows if row.run}
    known = times(context) | took
    file = context.file.absolute().parent / TIMES
    files.write_atomic(file, json.dumps(known, indent=1, sort_keys=True) + "\n")
    return file
