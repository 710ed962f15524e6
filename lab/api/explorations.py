"""Runs a lab with many seeds, each of which disturbs it in another way."""

from __future__ import annotations

import contextlib
import functools
import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lab import rundir
from lab.api import beside, far, outcomes, replaying
from lab.api.beside import Work
from lab.api.context import Context
from lab.api.results import Run
from lab.api.runs import failed, make_way, run
from lab.api.seed_plans import seed_plan
from lab.errors import LabError, UsageError
from lab.explore import seed_parts, seeds_junit, seeds_markdown, shards
from lab.explore.matrix import Task, tasks_of
from lab.explore.outcome import worst
from lab.explore.seeds import Asked, Exploration, SeedGroup, SeedResult, grouped
from lab.explore.shrinking import shrink
from lab.model import Clock, ExitStatus, Layer, Plan, Verdict
from lab.progress import Progress
from lab.run import commands
from lab.rundir import RunDir
from lab.scenario import Report
from lab.util import files
from lab.util.deadline import Deadline
from lab.util.resources import as_called


@dataclass(frozen=True)
class ExploreOptions:
    """How :func:`explore` explores.

    Attributes:
        jobs: how many runs at a time; 0: as many as this machine has room for.
        shrink: find few disturbances that are enough, for one seed of each kind of failure.
        junit: also write a case for each seed to this file.
        shard: run only this part of the seeds, such as ``2/3``; empty: all of them.
        interrupted: gets what is known if an error or Ctrl-C ends the exploration, before this
            goes on.
    """

    jobs: int = 0
    shrink: bool = True
    junit: Path | None = None
    interrupted: Callable[[Explored], None] | None = None
    shard: str = ""


@dataclass(frozen=True)
class Explored:
    """An exploration, and the folder with its outcome (``outcome.json``)."""

    outcome: Exploration
    folder: Path

    @property
    def exit_status(self) -> int:
        """The worst one; :func:`lab.explore.outcome.worst` says which is worse. At least 3 if seeds
        were not run."""
        not_run = [ExitStatus.INFRASTRUCTURE] if self.outcome.not_run else []
        return worst([*(one.verdict.exit_status for one in self.outcome.results), *not_run])

    def markdown(self) -> str:
        """The outcome for the page of a CI job."""
        return seeds_markdown.markdown(self.outcome)

    def summary(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return self.outcome.summary() | {"folder": str(self.folder)}


def explore(
    context: Context, name: str, seeds: Sequence[int], options: ExploreOptions | None = None
) -> Explored:
    """Run a lab once without a seed, then with each of these seeds.

    The folders of seeds that pass are removed: the seed gives the same run again. If this is
    interrupted, the outcome of the seeds that have ended is kept.

    Raises:
        ConfigError, UsageError: labs.yaml or the name is wrong; the lab cannot be disturbed, or
            a guest fails already without a seed; ``junit`` cannot be written.
        LabError: what all runs need fails.
    """
    options = options or ExploreOptions()
    if not seeds:
        raise UsageError("no seed to run")
    if not 0 <= options.jobs <= beside.MOST:  # said before the run without a seed
        raise UsageError(f"{options.jobs} runs cannot go on at once", hint=f"1 to {beside.MOST}")
    asked = Asked(tuple(seeds), str(outcomes.shard_of(options.shard) or ""))
    plan = seed_plan(context, name, seeds[0])
    if options.junit:
        make_way(options.junit)
    with far.connected(context) as there:  # once for all runs
        return _explored(there, plan, asked, options)


def _explored(context: Context, plan: Plan, asked: Asked, options: ExploreOptions) -> Explored:
    shard = shards.parse(asked.shard)
    seeds = shards.every(asked.seeds, shard) if shard else asked.seeds
    name, clock, so_far = plan.lab.name, Deadline(0), list[SeedResult]()
    groups: list[SeedGroup] = []
    asked = _made_of(asked, plan, _undisturbed(context, name))

    def known() -> Explored:
        results = tuple(sorted(so_far, key=lambda one: one.seed))
        found = tuple(groups) or grouped(results)
        outcome = Exploration(name, results, found, round(clock.elapsed(), 1), len(seeds), asked)
        return kept(context, outcome, options.junit)

    try:
        groups += grouped(_all(context, plan, seeds, options.jobs, so_far.append))
        for number, one in enumerate(groups if options.shrink else ()):
            groups[number] = _shrunk(context, name, one)
    except BaseException:
        if so_far:
            left = known()
            if options.interrupted:
                options.interrupted(left)
        raise
    return known()


def kept(context: Context, outcome: Exploration, junit: Path | None) -> Explored:
    """Write the outcome into a new folder, and where the user wants it."""
    folder = rundir.new_folder(context.runs / f"{outcomes.EXPLORED}{outcome.lab}")
    text = json.dumps(seed_parts.dump(outcome), indent=1) + "\n"
    files.write_atomic(folder / outcomes.OUTCOME, text)
    if junit:
        files.write_atomic(junit, seeds_junit.junit(outcome))
    return Explored(outcome, folder)


def _undisturbed(context: Context, name: str) -> Run:
    """Run the lab without a seed. This also makes what all other runs need."""
    with context.progress.stage(f"lab {name} without a seed"):
        done = run(_quiet(context), name, clock=Clock.VIRTUAL)
    verdict = done.report.verdict
    if verdict.passed:  # its folder stays, for comparison
        return done
    error = UsageError if verdict.layer is Layer.GUEST else LabError
    raise error(
        f"lab {name} fails without any disturbance: {verdict.reason}",
        hint=_command(context, "lab.run", name), tail=verdict.tail,
    )  # fmt: skip


def _made_of(asked: Asked, plan: Plan, plain: Run) -> Asked:
    """With what tells this exploration from others: what the run without a seed was made of and
    came to, and what a seed may change."""
    made_of = dict(RunDir(plain.run).manifest().get("fingerprint") or {})
    made_of["what explore of labs.yaml allows"] = files.sha256_json(asdict(plan.lab.explore))
    return replace(asked, made_of=made_of, digest=plain.digest)


def _quiet(context: Context) -> Context:
    return replace(context, progress=Progress(quiet=True))


def _all(
    context: Context,
    plan: Plan,
    seeds: Sequence[int],
    jobs: int,
    tell: Callable[[SeedResult], None],
) -> list[SeedResult]:
    """The results of all seeds, in their order. ``tell`` gets each when it has ended."""
    works = [Work(f"seed {seed}", plan, functools.partial(_run, plan.lab.name, seed), _words)
             for seed in seeds]  # fmt: skip
    counted = [0, 0]
    with context.progress.stage(f"{len(works)} seeds") as stage:

        def done(_: int, one: SeedResult) -> None:
            tell(one)
            counted[0] += 1
            counted[1] += not one.verdict.passed
            stage.note("{} done, {} failed".format(*counted))
            if not one.verdict.passed:
                context.progress.say(f"seed {one.seed} fails: {one.verdict.reason}")

        return beside.run_all(_quiet(context), works, jobs, done)


def _words(result: SeedResult) -> str:
    return "PASS" if result.verdict.passed else "FAIL"


def _run(name: str, seed: int, context: Context) -> SeedResult:
    """Run one seed. A failure below the guests is a result, too."""
    context = replace(context, seed=seed)
    try:
        done = run(context, name, clock=Clock.VIRTUAL)
    except LabError as error:
        if error.layer is None:
            raise
        done = failed(context, name, error)
    return _result(context, seed, done)


def _result(context: Context, seed: int, done: Run) -> SeedResult:
    """What is kept of a run. Its folder is removed if it passed."""
    words = tuple(str(one) for one in done.disturbances)
    verdict = _brief(done.report)
    again = _command(context, "lab.run", done.report.lab, "--seed", str(seed))
    tasks = _tasks(done.run)
    result = SeedResult(seed, verdict, str(done.run), done.digest, words, tasks, again)
    if not verdict.passed:
        return replace(result, debug=replaying.command(RunDir(done.run), done.report, context.file))
    rundir.forget(RunDir(done.run))
    return replace(result, run="")


def _brief(report: Report) -> Verdict:
    """The verdict without its last lines. If a guest crashed, its own words are in the reason."""
    verdict = report.verdict
    said = next((line.strip() for line in verdict.tail.splitlines() if line.strip()), "")
    reason = f"{verdict.reason}: {said}" if report.crashed and said else verdict.reason
    return replace(verdict, reason=reason, tail="", hint="")


def _tasks(folder: Path) -> tuple[Task, ...]:
    if not any((folder / "trace").glob("*.records")):
        return ()
    # Imported here, because reading traces needs numpy, whose import takes long.
    from lab.trace import stats, timeline

    with contextlib.suppress(LabError):
        return tasks_of(stats.figures(timeline.load(RunDir(folder))))
    return ()


def _shrunk(context: Context, name: str, group: SeedGroup) -> SeedGroup:
    """The group, with the fewest disturbances of its first seed that fail the same way."""
    first = group.results[0]
    if group.layer is not Layer.GUEST:
        return group
    last: list[SeedResult] = []

    def fails(keep: tuple[int, ...]) -> bool:
        one = _with_some(context, name, first.seed, keep)
        same = one.kind == first.kind
        for other in last if same else [one]:
            if other.run:
                rundir.forget(RunDir(Path(other.run)))
        last[:] = [one] if same else last
        return same

    numbers = range(1, len(first.disturbances) + 1)
    with context.progress.stage(f"fewer disturbances of seed {first.seed}") as stage:
        left, tried = shrink(numbers, fails)
        stage.note(f"{len(left)} of {len(numbers)}, {tried} runs")
    return replace(group, smallest=last[0] if last else first, tried=tried)


def _with_some(context: Context, name: str, seed: int, keep: tuple[int, ...]) -> SeedResult:
    """Run a seed with only some of its disturbances."""
    done = run(replace(_quiet(context), seed=seed, keep=keep), name, clock=Clock.VIRTUAL)
    words = ("--seed", str(seed), "--keep", ",".join(map(str, keep)) or "none")
    again = _command(context, "lab.run", name, *words)
    return replace(_result(context, seed, done), again=again)


def _command(context: Context, *words: str) -> str:
    """A command about a lab of the context, ready to paste."""
    more = [] if str(context.file) == commands.LABS else ["--labs", str(context.file)]
    arch = ["--arch", context.arch.xen] if context.arch else []
    return as_called(f"./inv {shlex.join([*words, *arch, *more])}")
