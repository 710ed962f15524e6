"""The results of an exploration: which seeds fail, grouped by what went wrong, and figures.

Times are seconds.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.explore.matrix import Task, show
from lab.model import Layer, Verdict

#: A group names at most this many of its seeds, and shows the commands of as many.
SHOWN = 8
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True)
class SeedResult:
    """The run of one seed.

    Attributes:
        run: its folder; empty if it was removed, because the run passed.
        disturbances: in words, each with its number before it.
        tasks: the figures of its traced tasks.
        again: the command that runs it again.
        debug: the command that shows its failure in GDB; empty if there is none.
    """

    seed: int
    verdict: Verdict
    run: str = ""
    digest: str = ""
    disturbances: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ()
    again: str = ""
    debug: str = ""

    @property
    def kind(self) -> tuple[str, str]:
        """What went wrong, the same for runs that differ only in numbers: layer and reason."""
        layer = self.verdict.layer
        return str(layer or ""), _NUMBER.sub("N", self.verdict.reason)


@dataclass(frozen=True)
class SeedGroup:
    """Seeds that fail the same way. ``reason``: that of the first; its numbers are its own.

    Attributes:
        smallest: the first one with the fewest of its disturbances that fail the same way.
        tried: how many runs it took to find these.
    """

    layer: Layer | None
    reason: str
    results: tuple[SeedResult, ...]
    smallest: SeedResult | None = None
    tried: int = 0

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted(one.seed for one in self.results))

    @property
    def shown(self) -> tuple[SeedResult, ...]:
        """Those whose commands a table has: the smallest, then some others; no command twice."""
        first = (self.smallest,) if self.smallest else ()
        found = {one.again: one for one in (*first, *self.results)}
        return tuple(found.values())[:SHOWN]

    @property
    def some_seeds(self) -> str:
        """``7, 19, 33``, and how many more there are."""
        more = len(self.seeds) - SHOWN
        return ", ".join(map(str, self.seeds[:SHOWN])) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True)
class Spread:
    """One figure of one task over all seeds. ``seed``: the one with the most."""

    task: str
    figure: str
    least: float
    median: float
    most: float
    seed: int


@dataclass(frozen=True)
class Asked:
    """What all parts of an exploration were asked for together, and which part this one is.

    Attributes:
        seeds: those of all parts.
        shard: this part, such as ``2/3``; empty: all of it.
        made_of: hashes of what the run without a seed was made of, by part.
        digest: of the run without a seed.
    """

    seeds: tuple[int, ...] = ()
    shard: str = ""
    made_of: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""


@dataclass(frozen=True)
class Exploration:
    """The outcome of an exploration of a lab, or of a part of one.

    ``wanted``: how many seeds it had to run; more than there are results if it was interrupted.
    ``asked``: what it belongs to.
    """

    lab: str
    results: tuple[SeedResult, ...]
    groups: tuple[SeedGroup, ...] = ()
    seconds: float = field(default=0.0, compare=False)
    wanted: int = 0
    asked: Asked = Asked()

    @property
    def failed(self) -> tuple[SeedResult, ...]:
        return tuple(one for one in self.results if not one.verdict.passed)

    @property
    def not_run(self) -> int:
        """How many seeds have no result, because it was interrupted."""
        return max(0, self.wanted - len(self.results))

    @property
    def spreads(self) -> tuple[Spread, ...]:
        """The figures of traced tasks."""
        return tuple(_spreads(self.results))

    def figures_table(self) -> tuple[list[str], list[list[str]]]:
        """The header and the rows of the table of figures."""
        header = ["Task", "Figure", "Least", "Median", "Most", "Seed"]
        return header, [
            [one.task, one.figure, *(_value(one, v) for v in (one.least, one.median, one.most)),
             str(one.seed)]
            for one in self.spreads
        ]  # fmt: skip

    @property
    def last_line(self) -> str:
        """``FAIL NAME: 20 seeds, 2 failed, in 41 s``."""
        bad, count = len(self.failed), len(self.results)
        seeds = f"{count} seed" + ("" if count == 1 else "s")
        seeds += f" of {self.wanted}" if self.not_run else ""
        seeds += f" in shard {self.asked.shard}" if self.asked.shard else ""
        word = "FAIL" if bad else "INTERRUPTED" if self.not_run else "PASS"
        return f"{word} {self.lab}: {seeds}, {bad} failed, in {self.seconds:.0f} s"

    def summary(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "lab": self.lab,
            "shard": self.asked.shard or None,
            "seeds": len(self.results),
            "passed": len(self.results) - len(self.failed),
            "not_run": self.not_run,
            "failed": [_summary(one) for one in self.failed],
            "groups": [
                {"layer": one.layer, "reason": one.reason, "seeds": one.seeds, "tried": one.tried,
                 "smallest": _summary(one.smallest) if one.smallest else None}
                for one in self.groups
            ],
            "figures": list(self.spreads),
            "seconds": self.seconds,
        }  # fmt: skip


def _summary(one: SeedResult) -> dict[str, Any]:
    return {"seed": one.seed, "layer": one.verdict.layer, "reason": one.verdict.reason,
            "run": one.run, "digest": one.digest, "disturbances": one.disturbances,
            "again": one.again, "debug": one.debug}  # fmt: skip


def grouped(results: Sequence[SeedResult]) -> tuple[SeedGroup, ...]:
    """The failures in groups; the largest is the first. Each begins with its simplest seed."""
    found: dict[tuple[str, str], list[SeedResult]] = {}
    for one in results:
        if not one.verdict.passed:
            found.setdefault(one.kind, []).append(one)
    groups = []
    for members in found.values():
        members.sort(key=lambda one: (len(one.disturbances), one.seed))
        first = members[0].verdict
        groups.append(SeedGroup(first.layer, first.reason, tuple(members)))
    return tuple(sorted(groups, key=lambda one: -len(one.results)))


def _spreads(results: Sequence[SeedResult]) -> Iterator[Spread]:
    names = dict.fromkeys(task.name for one in results for task in one.tasks)
    figures = {"release jitter, p99": "jitter_p99", "release jitter, most": "jitter_max",
               "response time, most": "response_max", "missed deadlines": "misses"}  # fmt: skip
    for name in names:
        tasks = [(one.seed, task) for one in results for task in one.tasks if task.name == name]
        for words, attribute in figures.items():
            values = [(float(getattr(task, attribute)), -seed) for seed, task in tasks]
            most, seed = max(values)
            alone = [value for value, _ in values]
            yield Spread(name, words, min(alone), statistics.median(alone), most, -seed)


def _value(one: Spread, value: float) -> str:
    return f"{value:g}" if one.figure == "missed deadlines" else show(value)
