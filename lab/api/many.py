"""Runs the scenarios of several labs, side by side."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import config, scenario
from lab.api import beside
from lab.api.beside import Work, verdict_words
from lab.api.context import Context, clean
from lab.api.labs import is_pattern
from lab.api.plans import make_plan
from lab.api.results import Run
from lab.api.runs import failed, make_way, run
from lab.errors import LabError, UsageError
from lab.model import Clock, ExitStatus, Plan
from lab.run.hands import refuse
from lab.util import files
from lab.util.deadline import Deadline
from lab.util.suggest import nearest
from lab.util.terminal import quote

#: From the best to the worst. The further down a failure is, the less the others mean.
ORDER = (
    ExitStatus.PASS, ExitStatus.GUEST, ExitStatus.TOOLSTACK, ExitStatus.PLATFORM,
    ExitStatus.INFRASTRUCTURE, ExitStatus.USAGE,
)  # fmt: skip


@dataclass(frozen=True)
class RunOptions:
    """How :func:`run_many` runs labs.

    Attributes:
        clock: wins over labs.yaml; if neither names one, it is virtual.
        cold: boot labs even if they have a template.
        jobs: how many run at a time; 0: as many as this machine has room for.
        junit: also write all verdicts to this file.
    """

    clock: Clock | None = None
    cold: bool = False
    jobs: int = 0
    junit: Path | None = None


@dataclass(frozen=True)
class Runs:
    """Runs of several labs, in the order in which they were asked for; ``seconds``: how long they
    took together."""

    runs: tuple[Run, ...]
    seconds: float = 0.0

    @property
    def passed(self) -> int:
        """How many passed."""
        return sum(one.report.verdict.passed for one in self.runs)

    @property
    def exit_status(self) -> int:
        """The worst one; :data:`ORDER` says which is worse."""
        statuses = [one.report.verdict.exit_status for one in self.runs]
        return int(max(statuses, key=ORDER.index, default=ExitStatus.PASS))

    def summary(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "exit_status": self.exit_status,
            "passed": self.passed,
            "seconds": round(self.seconds, 3),
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

    If a lab fails, the others still run. An interrupt ends all of them.

    Raises:
        ConfigError, UsageError: before the first run: labs.yaml or a name is wrong, a lab cannot
            be run, or the JUnit file cannot be written.
    """
    options, clock = options or RunOptions(), Deadline(0)
    clean(context)
    plans = [_plan(context, name, options) for name in names]
    if options.junit:
        make_way(options.junit)
    count = len(plans)
    works = [
        Work(f"{number} of {count}: lab {plan.lab.name}", plan,
             functools.partial(_run, name=plan.lab.name, options=options), verdict_words)
        for number, plan in enumerate(plans, 1)
    ]  # fmt: skip
    runs = beside.run_all(context, works, options.jobs)
    if options.junit:
        files.write_atomic(options.junit, scenario.junit([one.report for one in runs]))
    return Runs(tuple(runs), clock.elapsed())


def _plan(context: Context, name: str, options: RunOptions) -> Plan:
    clock = options.clock or Clock.VIRTUAL
    plan = make_plan(context, name, clock, first=options.clock is not None)
    refuse(plan)
    return plan


def _run(context: Context, *, name: str, options: RunOptions) -> Run:
    try:
        return run(context, name, clock=options.clock, cold=options.cold)
    except LabError as error:
        return failed(context, name, error)
