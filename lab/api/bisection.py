"""Searches the commit of a source tree from which on a lab fails, or a figure is too large."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lab.api import beside, far
from lab.api.beside import Work
from lab.api.context import Context
from lab.api.plans import make_plan
from lab.api.results import Run
from lab.api.runs import run
from lab.api.traces import trace_diff
from lab.api.tree_variant import TreeVariant, sweep, work_tree
from lab.errors import BusyError, LabError, UsageError
from lab.explore.bisection import Mark, Search
from lab.model import Clock, ExitStatus, Lab, Plan, Threshold
from lab.run import commands
from lab.rundir import RunDir, new_folder
from lab.store import cache_root
from lab.util import files
from lab.util.git_tree import COMPLETE, GitTree

#: The most commits that are tried at a time: each has a work tree of its own.
MOST = 64
#: The log that ``git bisect replay`` takes, and all results.
LOG, OUTCOME = "bisect.log", "outcome.json"


@dataclass(frozen=True)
class Bisect:
    """What is searched.

    Attributes:
        source: a folder of the git repository: Xen, Linux, or what a guest is built from.
        good, bad: commits, by any name that git knows. ``good`` comes before ``bad``.
        limit: a sentence such as ``p99 release jitter of fast < 500us``. A commit is then bad if
            the figure is not below the limit; empty: if the lab does not pass.
        jobs: how many commits are tried at a time; 0: one for every two processors, or on a cluster
            one for each lab that it can run at a time, at most 8.
    """

    source: Path
    good: str
    bad: str
    limit: str = ""
    jobs: int = 0


@dataclass(frozen=True)
class Tried:
    """A commit and what its run said.

    ``reason``: why it is bad, or cannot be judged. ``tail``: the lines that show it, such as the
    compiler's.
    """

    commit: str
    subject: str
    mark: Mark
    reason: str = ""
    run: Path | None = None
    tail: str = ""


@dataclass(frozen=True)
class Bisected:
    """The result of a search.

    Attributes:
        tried: in order.
        remaining: the commits of which one is the first bad one. One if it was found, more if
            others could not be judged.
        about: the first bad commit as ``git show`` prints it; empty if it was not found.
        last_good: a parent of it that is good; ``None`` if no parent was tried.
        difference: what ``trace.diff`` says about the runs of these two; ``None`` without traces.
        folder: has ``bisect.log``, which ``git bisect replay`` takes, and ``outcome.json``.
    """

    tried: tuple[Tried, ...]
    remaining: tuple[Tried | str, ...]
    folder: Path
    about: str = ""
    last_good: Tried | None = None
    difference: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def first_bad(self) -> Tried | None:
        """``None`` if it was not found."""
        one = self.remaining[0] if len(self.remaining) == 1 else None
        return one if isinstance(one, Tried) else None

    def debug_command(self, labs: Path) -> str:
        """The command that opens GDB just before the failure of the first bad commit's run; empty
        if there is no such run. ``labs``: labs.yaml as the command was told."""
        if not (self.first_bad and self.first_bad.run):
            return ""
        return commands.about("lab.debug", RunDir(self.first_bad.run), labs, "--before-failure")

    @property
    def exit_status(self) -> int:
        """0 if the commit was found."""
        return int(ExitStatus.PASS if self.first_bad else ExitStatus.GUEST)


def mark_of(done: Run) -> tuple[Mark, str]:
    """What a run says about the sources it was built from, and why.

    Raises:
        LabError: it says nothing, because the toolchain, the network or QEMU failed.
    """
    verdict = done.report.verdict
    if verdict.passed:
        return Mark.GOOD, ""
    if verdict.unbuilt:
        return Mark.SKIP, verdict.reason
    if verdict.exit_status is ExitStatus.INFRASTRUCTURE:
        error = LabError(verdict.reason, tail=verdict.tail, hint=verdict.hint)
        error.layer, error.run = verdict.layer, done.run
        raise error
    return Mark.BAD, verdict.reason


def bisect(context: Context, name: str, wanted: Bisect) -> Bisected:
    """Build and run commits of a tree until the first bad one is found.

    Each commit is checked out into a work tree of its own; the user's is not touched. Commits that
    do not compile are skipped.

    Raises:
        UsageError: there is no such lab, tree or commit; the lab uses nothing of the tree; the
            good commit is bad, or the bad one good. BusyError: another command bisects the tree.
        LabError: the toolchain, the network or QEMU failed, or git did.
    """
    tree = GitTree.of(wanted.source)
    good, bad = _ends(tree, wanted)
    place = cache_root() / "bisect" / hashlib.sha256(os.fsencode(tree.top)).hexdigest()[:16]
    plan = make_plan(context, name, Clock.VIRTUAL, first=True)
    if TreeVariant(tree.top, place)(plan.lab) == plan.lab:
        words = f"lab {name} is built from nothing in {tree.top}"
        raise UsageError(words, hint="--source names the tree of its Xen, its Linux or a guest")
    limits = _limits(wanted.limit, plan.lab) if wanted.limit else ()
    if not 0 <= wanted.jobs <= MOST:
        raise UsageError(f"{wanted.jobs} commits cannot be tried at once", hint=f"1 to {MOST}")
    if tree.is_changed:
        context.progress.say(f"{tree.top} has changes that are in no commit: they are not tried")
    search = Search(tree, bad, [good])
    with contextlib.ExitStack() as stack:
        context = stack.enter_context(far.connected(context))
        stack.enter_context(_alone(tree, place))
        jobs = wanted.jobs or beside.compiled(context)
        trees = [place.with_name(f"{place.name}-{number}") for number in range(jobs)]
        sweep(tree, trees)
        for folder in trees:
            stack.enter_context(work_tree(context.progress, tree, folder))
        variants = [TreeVariant(tree.top, one, limits, wanted.limit) for one in trees]
        bench = _Bench(context, plan, tree, variants)
        bench.check_ends(good, bad)
        kept = new_folder(context.runs / f"bisect-{name}")
        stack.enter_context(_logged(context, kept / LOG, lambda: search.log((good, bad))))
        while commits := search.next(jobs):
            context.progress.say(f"{len(search.candidates)} commits remain")
            for commit, mark in zip(commits, bench.judged(commits), strict=True):
                search.tell(commit, mark)
    found = _concluded(context, search, bench, kept)
    files.write_atomic(kept / OUTCOME, json.dumps(asdict(found), indent=1, default=str) + "\n")
    return found


def _ends(tree: GitTree, wanted: Bisect) -> tuple[str, str]:
    good, bad = tree.commit(wanted.good), tree.commit(wanted.bad)
    if good == bad or not tree.is_ancestor(good, bad):
        hint = "name a good commit that the bad one descends from: git merge-base GOOD BAD"
        raise UsageError(
            f"--good {wanted.good} is not a commit before --bad {wanted.bad}",
            hint=COMPLETE if tree.is_shallow else hint,
        )
    return good, bad


def _limits(sentence: str, lab: Lab) -> tuple[Threshold, ...]:
    from lab.config import limits  # slow to load, and seldom needed

    return limits.of_sentence(sentence, lab)


@contextlib.contextmanager
def _alone(tree: GitTree, folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    held = files.try_lock(folder.with_suffix(".lock"))
    if held is None:
        raise BusyError(f"another command bisects {tree.top}")
    try:
        yield
    finally:
        os.close(held)


@contextlib.contextmanager
def _logged(context: Context, file: Path, log: Callable[[], str]) -> Iterator[None]:
    """Write the log at the end of the block. If the search did not come to its end, say where."""
    try:
        yield
    except BaseException:
        context.progress.say(f"what was tried so far, for git bisect replay: {file}")
        raise
    finally:
        files.write_atomic(file, log())


@dataclass
class _Bench:
    """Where commits are tried: each of ``variants`` has a work tree of its own."""

    context: Context
    plan: Plan
    tree: GitTree
    variants: Sequence[TreeVariant]
    tried: dict[str, Tried] = field(default_factory=dict)

    def judged(self, commits: Sequence[str]) -> list[Mark]:
        """Build and run commits, as many at a time as there are work trees."""
        found: list[Tried] = []
        step = len(self.variants)
        for some in (commits[at : at + step] for at in range(0, len(commits), step)):
            works = [self._work(*one) for one in zip(self.variants, some, strict=False)]
            found += beside.run_all(self.context, works, len(works))
        self.tried |= {one.commit: one for one in found}
        return [one.mark for one in found]

    def _work(self, variant: TreeVariant, commit: str) -> Work[Tried]:
        subject = self.tree.subject(commit)
        do = functools.partial(self._tried, variant=variant, commit=commit, subject=subject)
        return Work(f"{commit[:12]} {subject}", self.plan, do, _words)

    def _tried(self, context: Context, *, variant: TreeVariant, commit: str, subject: str) -> Tried:
        self.tree.check_out(variant.work, commit)
        try:
            context = replace(context, variant=variant)
            done = run(context, self.plan.lab.name, clock=Clock.VIRTUAL)
        except BusyError:
            raise
        except UsageError as error:  # such as a file that this commit does not have
            return Tried(commit, subject, Mark.SKIP, error.message)
        mark, reason = mark_of(done)
        if mark is Mark.BAD and variant.limits and _unmeasured(done):
            mark = Mark.SKIP
        return Tried(commit, subject, mark, reason, done.run, done.report.verdict.tail)

    def check_ends(self, good: str, bad: str) -> None:
        marks = self.judged([good, bad])
        for commit, mark, seen in zip((good, bad), (Mark.GOOD, Mark.BAD), marks, strict=True):
            if seen is not mark:
                found = self.tried[commit]
                what = "cannot be judged" if found.mark is Mark.SKIP else f"is {found.mark}"
                words = f": {found.reason}" if found.reason else ""
                raise UsageError(f"the {mark} commit {commit[:12]} {what}{words}",
                                 tail=found.tail, hint=f"name another {mark} commit")  # fmt: skip


def _words(one: Tried) -> str:
    return f"{one.mark}: {one.reason}" if one.reason else str(one.mark)


def _unmeasured(done: Run) -> bool:
    """Whether the run ended before the figure that was asked for could be measured."""
    return all(one.measured is None for one in done.report.thresholds)


def _concluded(context: Context, search: Search, bench: _Bench, kept: Path) -> Bisected:
    tried, left = tuple(bench.tried.values()), search.candidates
    remaining = tuple(bench.tried.get(one, one) for one in left)
    if len(left) > 1:
        return Bisected(tried, remaining, kept)
    (bad,) = left
    parents = bench.tree.parents(bad)
    known = [one for one in map(bench.tried.get, parents) if one and one.mark is Mark.GOOD]
    good = known[0] if known else None
    found = Bisected(tried, remaining, kept, bench.tree.about(bad), good)
    return replace(found, difference=_difference(context, good, bench.tried[bad]))


def _difference(context: Context, good: Tried | None, bad: Tried) -> dict[str, Any] | None:
    """How the traces of the two runs differ; ``None`` if they have none."""
    if good is None or good.run is None or bad.run is None:
        return None
    try:
        return trace_diff(context, str(good.run), str(bad.run))
    except LabError:
        return None
