"""Runs a lab again, compares the runs, and shows the first difference."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab import rundir
from lab.api import beside
from lab.api.context import Context, like
from lab.api.plans import make_plan
from lab.api.results import Run
from lab.api.runs import run
from lab.errors import UsageError
from lab.model import ARCHITECTURES, Clock, ExitStatus, architecture
from lab.packages import lock
from lab.run import digest, fingerprint
from lab.run.digest import Difference
from lab.rundir import RunDir
from lab.util import files


@dataclass(frozen=True)
class Comparison:
    """A run compared with an earlier or published one.

    Attributes:
        wanted: the digest of the other run.
        apart: the parts in which the fingerprints of the two runs differ.
        difference: the first line in which the two runs differ.
    """

    run: Run
    wanted: str
    same: bool
    apart: tuple[str, ...] = ()
    difference: Difference | None = None

    @property
    def exit_status(self) -> int:
        """1 if the runs differ; else the run's own."""
        return int(self.run.report.verdict.exit_status if self.same else ExitStatus.GUEST)

    def summary(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return self.run.summary() | {
            "wanted": self.wanted, "same": self.same, "apart": list(self.apart),
            "difference": str(self.difference) if self.difference else None,
        }  # fmt: skip


@dataclass(frozen=True)
class Repeated:
    """Several runs of one lab. ``difference``: where the first one that differs parts from the
    first of all."""

    runs: tuple[Run, ...]
    difference: Difference | None = None

    @property
    def same(self) -> bool:
        return self.other is None

    @property
    def other(self) -> Run | None:
        """The first run that differs from the first of all; ``None`` if none does."""
        return next((one for one in self.runs if one.digest != self.runs[0].digest), None)

    @property
    def exit_status(self) -> int:
        """That of the first run that did not pass; else 1 if the runs differ."""
        statuses = [int(one.report.verdict.exit_status) for one in self.runs]
        return next((one for one in statuses if one), 0 if self.same else int(ExitStatus.GUEST))

    def summary(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "same": self.same,
            "digests": [one.digest for one in self.runs],
            "difference": str(self.difference) if self.difference else None,
            "runs": [one.summary() for one in self.runs],
        }


class _Enough(Exception):
    """No further run is needed: one differs from another, or did not come up."""


def repeat(
    context: Context, name: str, times: int, *, cold: bool = False, jobs: int = 0
) -> Repeated:
    """Run a lab several times under the virtual clock, until one run differs from the others.

    ``jobs``: how many runs at a time; 0: as many as this machine has room for. When one differs,
    those under way end. The result has the runs that ended before, in the order of their numbers.

    Raises:
        ConfigError, UsageError: labs.yaml or the name is wrong; ``times`` is less than 1.
    """
    if times < 1:
        raise UsageError(f"a lab cannot be run {times} times")
    plan = make_plan(context, name, Clock.VIRTUAL, first=True)
    once = functools.partial(run, name=name, clock=Clock.VIRTUAL, cold=cold)
    works = [
        beside.Work(f"run {number} of {times}", plan, once, beside.verdict_words)
        for number in range(1, times + 1)
    ]
    runs: dict[int, Run] = {}

    def done(number: int, result: Run) -> None:
        runs[number] = result
        if not result.digest or len({one.digest for one in runs.values()}) > 1:
            raise _Enough

    try:
        with contextlib.suppress(_Enough):
            beside.run_all(context, works, jobs, done)
    except BaseException:
        if runs:
            context.progress.say(f"{len(runs)} of {times} runs had ended, with one digest")
        raise
    return _repeated([runs[number] for number in sorted(runs)])


def _repeated(runs: Sequence[Run]) -> Repeated:
    found = Repeated(tuple(runs))
    if found.other is None:
        return found
    parted = digest.difference(RunDir(runs[0].run), RunDir(found.other.run))
    return replace(found, difference=parted)


def verify(context: Context, earlier: Path, *, cold: bool = False) -> Comparison:
    """Run the lab of an earlier run again, and compare the two.

    Before it starts, the context's progress hears whether it is made of the same inputs.

    ``earlier``: the run's folder, or another name that :func:`lab.rundir.find_run` knows.

    Raises:
        UsageError: there is no such run, or it has no digest.
    """
    before = rundir.find_run(context.runs, str(earlier)) or RunDir(earlier.resolve())
    manifest = before.manifest()
    wanted = str(manifest.get("digest") or "")
    if not wanted:
        raise UsageError(
            f"{earlier} is not a run with a digest",
            hint="name a run under the virtual clock: its folder, its id, latest, or NAME/latest",
        )
    digest.parts(before)  # fails before a lab runs if part of the run cannot be read
    against = _fingerprint(manifest)
    same = replace(like(context, manifest), against=against)
    again = run(same, str(manifest["lab"]), clock=Clock.VIRTUAL, cold=cold)
    after = RunDir(again.run)
    apart = fingerprint.difference(against, _fingerprint(after.manifest()))
    is_same = again.digest == wanted
    parted = None if is_same else digest.difference(before, after)
    return Comparison(again, wanted, is_same, tuple(apart), parted)


def compare_with_published(context: Context, made: Run) -> Comparison | None:
    """Compare a run with the published one of its lab.

    ``None``: none is published, the run has no digest, or it was disturbed. The lock that ships
    publishes the labs that ship: a lab of the user's own that has one of their names is not it.
    """
    if RunDir(made.run).manifest().get("seed") is not None:
        return None
    name = published_name(made)
    known = lock.load(lock.place(context.file)).runs.get(name)
    if known is None or not made.digest:
        return None
    here = _fingerprint(RunDir(made.run).manifest())
    apart = fingerprint.difference(known["made of"], {n: v[:16] for n, v in here.items()})
    same = made.digest == known["digest"]
    ours = lock.beside(lock.place(context.file), context.file)
    if not ours and ("labs.yaml" in apart or here.keys() != known["made of"].keys()):
        return None
    reference = RunDir(_reference(lock.place(context.file), name))
    parted = None if same else digest.difference_from(reference, RunDir(made.run))
    return Comparison(made, known["digest"], same, tuple(apart), parted)


def published_name(made: Run) -> str:
    """What the lock calls a run: the lab's name, and the architecture unless it is the first."""
    arch = architecture.of_run(RunDir(made.run).manifest())
    lab = made.report.lab
    return lab if arch == ARCHITECTURES[0] else f"{lab}@{arch.xen}"


def publish(context: Context, made: Run) -> Path:
    """Write a run's digest into the lock beside labs.yaml; returns the lock's file.

    Its consoles are kept in ``published/NAME`` beside the lock, to show others where their runs
    differ.

    Raises:
        UsageError: the run has no digest.
    """
    if not made.digest:
        raise UsageError("only a run under the virtual clock can be published")
    file = context.file.absolute().parent / lock.NAME
    pins = lock.load(file)
    here = {n: v[:16] for n, v in _fingerprint(RunDir(made.run).manifest()).items()}
    entry = {"digest": made.digest, "made of": here}
    name = published_name(made)
    after = replace(pins, runs={**pins.runs, name: entry})
    digest.keep(RunDir(made.run), _reference(file, name))
    files.write_atomic(file, lock.dump(after))
    return file


def _reference(lock_file: Path, lab: str) -> Path:
    return lock_file.parent / "published" / lab


def _fingerprint(manifest: Mapping[str, Any]) -> dict[str, str]:
    return dict(manifest.get("fingerprint") or {})
