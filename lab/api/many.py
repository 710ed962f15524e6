"""Runs the scenarios of several labs, side by side."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab import config
from lab.api import beside, outcomes
from lab.api.beside import Work, verdict_words
from lab.api.context import Context
from lab.api.labs import is_pattern
from lab.api.outcomes import Differing
from lab.api.plans import make_plan
from lab.api.results import Run
from lab.api.runs import failed, make_way, run
from lab.errors import LabError, UsageError
from lab.explore import outcome, shards
from lab.explore.outcome import Outcome
from lab.explore.shards import Shard
from lab.model import Clock, ExitStatus, Plan
from lab.run.hands import refuse
from lab.rundir import new_folder
from lab.scenario import junitxml
from lab.util import files
from lab.util.deadline import Deadline
from lab.util.suggest import nearest
from lab.util.terminal import quote


@dataclass(frozen=True)
class RunOptions:
    """How :func:`run_many` runs labs.

    Attributes:
        clock: wins over labs.yaml; if neither names one, it is virtual.
        cold: boot labs even if they have a template.
        jobs: how many run at a time; 0: as many as this machine has room for.
        junit: also write all verdicts to this file.
        shard: run only this part of the labs, such as ``2/3``; empty: all of them.
        repeat: how often each lab runs. If more than once, it is under the virtual clock, and its
            runs must have one digest.
        interrupted: is shown the runs that have ended, if a signal ends all others.
    """

    clock: Clock | None = None
    cold: bool = False
    jobs: int = 0
    junit: Path | None = None
    shard: str = ""
    repeat: int = 1
    interrupted: Callable[[Runs], None] | None = None


@dataclass(frozen=True)
class Runs:
    """Runs of several labs.

    Attributes:
        runs: in the order in which the labs were asked for.
        outcome: the same as a table.
        folder: has the table, a JUnit file, and ``outcome.json`` for :func:`lab.api.merge`.
        differing: runs of one lab that should be the same and are not.
        seconds: how long they took together.
        not_ended: how many more there would have been without an interrupt.
    """

    runs: tuple[Run, ...]
    outcome: Outcome
    folder: Path
    differing: tuple[Differing, ...] = ()
    seconds: float = 0.0
    not_ended: int = 0

    @property
    def passed(self) -> int:
        """How many passed."""
        return self.outcome.passed

    @property
    def exit_status(self) -> int:
        """The worst one; :data:`lab.explore.outcome.ORDER` says which is worse. At least 1 if
        digests differ."""
        apart = [int(ExitStatus.GUEST)] if self.differing else []
        return outcome.worst([self.outcome.exit_status, *apart])

    def table(self) -> tuple[Sequence[str], list[list[str]]]:
        """Its header and its rows."""
        return outcome.HEADER, outcome.cells(self.outcome.rows)

    def summary(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "exit_status": self.exit_status,
            "passed": self.passed,
            "not_ended": self.not_ended,
            "shard": str(self.outcome.shard) if self.outcome.shard else None,
            "seconds": round(self.seconds, 3),
            "folder": str(self.folder),
            "differing": [one.summary() for one in self.differing],
            "runs": [one.summary() for one in self.runs],
        }


def select(context: Context, words: Sequence[str]) -> list[str]:
    """The names of the labs that the words mean, each once: names, or patterns such as
    ``sched-*``, whose labs come in the order of labs.yaml.

    Raises:
        ConfigError: labs.yaml is wrong. UsageError: a word means no lab.
    """
    labs, found = context.labs(), list[str]()
    for word in words:
        some = fnmatch.filter(labs.labs, word) if is_pattern(word) else [word]
        if not some:
            near = nearest(word.strip("*?"), labs.labs)
            raise UsageError(f"no lab is named {quote(word)}{near}", hint=f"see {labs.file}")
        found += some
    for name in found:
        config.find_lab(labs, name)
    return list(dict.fromkeys(found))


def run_many(context: Context, names: Sequence[str], options: RunOptions | None = None) -> Runs:
    """Run several labs, as many at a time as there is room for.

    If a lab fails, the others still run. An interrupt ends all of them; the outcome of those that
    have ended is kept.

    Raises:
        ConfigError, UsageError: before the first run: labs.yaml or a name is wrong, a lab cannot
            be run, or the JUnit file cannot be written.
    """
    options, clock = options or RunOptions(), Deadline(0)
    if options.repeat < 1:
        raise UsageError(f"labs cannot be run {options.repeat} times")
    if options.repeat > 1:
        options = replace(options, clock=Clock.VIRTUAL)
    shard, mine = _part(context, names, options.shard)
    plans = [plan for name in mine for plan in [_plan(context, name, options)] * options.repeat]
    if options.junit:
        make_way(options.junit)
    works = [
        Work(f"{number} of {len(plans)}: lab {plan.lab.name}", plan,
             functools.partial(_run, name=plan.lab.name, options=options),
             lambda ran: verdict_words(ran[0]))
        for number, plan in enumerate(plans, 1)
    ]  # fmt: skip
    ran = dict[int, tuple[Run, float]]()

    def known() -> Runs:
        return _kept(context, Outcome(tuple(names), (), shard), [ran[one] for one in sorted(ran)],
                     options.junit, clock)  # fmt: skip

    try:
        beside.run_all(context, works, options.jobs, ran.__setitem__)
    except BaseException:
        if ran:
            left = replace(known(), not_ended=len(works) - len(ran))
            if options.interrupted:
                options.interrupted(left)
        raise
    return known()


def _kept(
    context: Context, asked: Outcome, ran: Sequence[tuple[Run, float]], junit: Path | None,
    clock: Deadline,
) -> Runs:  # fmt: skip
    """Write the outcome of runs that have ended."""
    found = replace(asked, rows=tuple(outcomes.row_of(context, *one) for one in ran))
    runs = tuple(one for one, _ in ran)
    folder = new_folder(context.runs / outcomes.PLACE)
    outcomes.keep(folder, found, runs)
    if junit:
        files.write_atomic(junit, junitxml.junit([one.report for one in runs]))
    differing = outcomes.compared(found.rows, lambda row: context.runs / row.run)
    return Runs(runs, found, folder, differing, clock.elapsed())


def _part(context: Context, names: Sequence[str], word: str) -> tuple[Shard | None, Sequence[str]]:
    """The shard that a word such as ``2/3`` means, and the labs that it has."""
    shard = outcomes.shard_of(word)
    if shard is None:
        return None, names
    return shard, shards.parts(names, shard.count, outcomes.times(context))[shard.number - 1]


def _plan(context: Context, name: str, options: RunOptions) -> Plan:
    clock = options.clock or Clock.VIRTUAL
    plan = make_plan(context, name, clock, first=options.clock is not None)
    refuse(plan)
    return plan


def _run(context: Context, *, name: str, options: RunOptions) -> tuple[Run, float]:
    """A run, and how many seconds it took."""
    clock = Deadline(0)
    try:
        done = run(context, name, clock=options.clock, cold=options.cold)
    except LabError as error:
        done = failed(context, name, error)
    return done, clock.elapsed()
