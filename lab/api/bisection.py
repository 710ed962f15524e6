"""Searches the commit of a source tree from which on a lab fails, or a figure is too large."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lab.api.context import Context
from lab.api.plans import make_plan
from lab.api.results import Run
from lab.api.runs import run
from lab.api.traces import trace_diff
from lab.errors import BusyError, LabError, UsageError
from lab.explore.bisection import Mark, Search
from lab.model import Clock, ExitStatus, Lab, Threshold
from lab.model.relocation import relocate
from lab.rundir import new_folder
from lab.store import cache_root
from lab.util import files
from lab.util.git_tree import GitTree

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
    """

    source: Path
    good: str
    bad: str
    limit: str = ""


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
    folder = cache_root() / "bisect" / hashlib.sha256(os.fsencode(tree.top)).hexdigest()[:16]
    variant = _Variant(tree.top, folder)
    lab = make_plan(context, name, Clock.VIRTUAL, first=True).lab
    if variant(lab) == lab:
        words = f"lab {name} is built from nothing in {tree.top}"
        raise UsageError(words, hint="--source names the tree of its Xen, its Linux or a guest")
    if wanted.limit:
        variant = replace(variant, limits=_limits(wanted.limit, lab))
    search, kept = Search(tree, bad, [good]), new_folder(context.runs / f"bisect-{name}")
    with _alone(tree, folder), tree.work_tree(folder):
        bench = _Bench(replace(context, variant=variant), name, tree, folder)
        try:
            bench.check_ends(good, bad)
            while commit := search.next():
                left = len(search.candidates)
                context.progress.say(f"{left} commits remain; trying {commit[:12]}")
                search.tell(commit, bench.judged(commit))
        finally:
            files.write_atomic(kept / LOG, search.log((good, bad)))
    found = _concluded(context, search, bench, kept)
    files.write_atomic(kept / OUTCOME, json.dumps(asdict(found), indent=1, default=str) + "\n")
    return found


def _ends(tree: GitTree, wanted: Bisect) -> tuple[str, str]:
    good, bad = tree.commit(wanted.good), tree.commit(wanted.bad)
    if good == bad or not tree.is_ancestor(good, bad):
        raise UsageError(
            f"--good {wanted.good} is not a commit before --bad {wanted.bad}",
            hint="name a good commit that the bad one descends from: git merge-base GOOD BAD",
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


@dataclass(frozen=True)
class _Variant:
    """The lab with the files of ``top`` taken from the folder ``work``, and with other limits."""

    top: Path
    work: Path
    limits: tuple[Threshold, ...] = ()

    def __call__(self, lab: Lab) -> Lab:
        moved = relocate(lab, self._move)
        return replace(moved, thresholds=self.limits) if self.limits else moved

    def _move(self, path: Path) -> Path:
        place = path.resolve()
        return self.work / place.relative_to(self.top) if place.is_relative_to(self.top) else path


@dataclass
class _Bench:
    """Where commits are tried. ``context`` builds from the folder ``work``."""

    context: Context
    name: str
    tree: GitTree
    work: Path
    tried: dict[str, Tried] = field(default_factory=dict)

    def judged(self, commit: str) -> Mark:
        """Build and run a commit."""
        self.tree.check_out(self.work, commit)
        subject = self.tree.subject(commit)
        try:
            done = run(self.context, self.name, clock=Clock.VIRTUAL)
        except BusyError:
            raise
        except UsageError as error:  # such as a file that this commit does not have
            one = Tried(commit, subject, Mark.SKIP, error.message)
        else:
            mark, reason = mark_of(done)
            if mark is Mark.BAD and self._unmeasured(done):
                mark = Mark.SKIP
            one = Tried(commit, subject, mark, reason, done.run, done.report.verdict.tail)
        self.tried[commit] = one
        words = f": {one.reason}" if one.reason else ""
        self.context.progress.say(f"{one.mark}: {commit[:12]} {subject}{words}")
        return one.mark

    def check_ends(self, good: str, bad: str) -> None:
        for commit, mark in ((good, Mark.GOOD), (bad, Mark.BAD)):
            if self.judged(commit) is not mark:
                found = self.tried[commit]
                what = "cannot be judged" if found.mark is Mark.SKIP else f"is {found.mark}"
                words = f": {found.reason}" if found.reason else ""
                raise UsageError(f"the {mark} commit {commit[:12]} {what}{words}",
                                 tail=found.tail, hint=f"name another {mark} commit")  # fmt: skip

    def _unmeasured(self, done: Run) -> bool:
        """Whether a figure was asked for, and the run ended before it could be measured."""
        asked = isinstance(self.context.variant, _Variant) and self.context.variant.limits
        return bool(asked) and all(one.measured is None for one in done.report.thresholds)


def _concluded(context: Context, search: Search, bench: _Bench, kept: Path) -> Bisected:
    tried, left = tuple(bench.tried.values()), search.candidates
    remaining = tuple(bench.tried.get(one, one) for one in left)
    if len(left) > 1:
        return Bisected(tried, remaining, kept)
    (bad,) = left
    parents = bench.tree.parents(bad)
    good = next((one for one in map(bench.tried.get, parents) if one), None)
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
