"""The task that searches the first bad commit, and what ``git bisect run`` wants of ``lab.run``."""

from __future__ import annotations

import contextlib
import itertools
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from lab import api
from lab.cli.cluster import chosen
from lab.cli.command import command
from lab.cli.lab_task import ARCH, DOOR, JSON, LAB, LABS, LOCKED
from lab.cli.labs import context_of
from lab.cli.output import fail, print_json
from lab.cli.results import short, show_run
from lab.cli.traces import difference
from lab.errors import LabError
from lab.util.resources import as_called
from lab.util.terminal import escape_lines, table

#: Exit statuses that ``git bisect run`` knows (git-bisect(1)). From 128 on it stops; then ours is
#: added, which says why.
GOOD, BAD, SKIP, STOP = 0, 1, 125, 128


@command("lab.bisect", words=("name",), name=LAB, labs=LABS, door=DOOR, json=JSON, locked=LOCKED,
         arch=ARCH,
         example="lab.bisect hello --source ../xen --good RELEASE-4.17.0 --bad HEAD",
         source="the git tree of Xen, of Linux, or of what a guest is built from",
         good="a commit with which the lab passes",
         bad="a later commit with which it does not",
         limit="search where this no longer holds: 'p99 release jitter of fast < 500us' "
               "(default: where the lab no longer passes)",
         jobs="try N commits at a time (default: one for every two processors; "
              "with --cluster, one for each lab that it can run at a time, at most 8)",
         cluster="build and run the commits on this cluster, not here (default: LAB_CLUSTER, else "
                 "here)")  # fmt: skip
def lab_bisect(name: str, source: str, good: str, bad: str = "HEAD", limit: str = "",
               labs: str = "labs.yaml", door: str = "", json: bool = False, locked: bool = False,
               arch: str = "", jobs: int = 0, cluster: str = "") -> int:  # fmt: skip
    """Find the commit of a source tree that broke a lab.

    It builds and runs the commit that halves what remains, again and again; with --jobs, several
    commits at a time that divide it into more parts.
    Commits that do not compile are skipped. Your work tree stays as it is.
    """
    context = context_of(labs, door, locked=locked, arch=arch)
    context = replace(context, cluster=chosen(cluster))
    found = api.bisect(context, name, api.Bisect(Path(source), good, bad, limit, jobs))
    print_json(found) if json else print("\n".join(_shown(found, source, labs)))
    return found.exit_status


def _shown(found: api.Bisected, source: str, labs: str) -> Iterator[str]:
    rows = [
        [one.commit[:12], one.mark, short(one.run) if one.run else "", one.subject[:40],
         one.reason[:60]] for one in found.tried
    ]  # fmt: skip
    yield escape_lines(table(rows, header=["Commit", "", "Run", "Subject", "Why"]))
    yield ""
    if not found.first_bad:
        yield f"the first bad commit is one of {len(found.remaining)}; others cannot be judged:"
        yield from (f"  {_hash(one)}" for one in found.remaining)
    else:
        yield "the first bad commit:"
        yield escape_lines(found.about)
        yield ""
        yield f"with it: {found.first_bad.reason}"
        yield from (f"    {line}" for line in found.first_bad.tail.splitlines())
        yield from _parted(found, source, labs)
    yield f"for git bisect replay: {short(found.folder)}/bisect.log"


def _parted(found: api.Bisected, source: str, labs: str) -> Iterator[str]:
    """Where the runs with and without the first bad commit differ."""
    good, bad = found.last_good, found.first_bad
    if not (good and bad and good.run and bad.run):
        return
    if found.difference:
        yield from itertools.takewhile(bool, difference(found.difference))
        yield as_called(f"more: ./inv trace.diff {short(good.run)} {short(bad.run)}")
    else:  # they have no traces
        yield f"compare the consoles: diff -r {short(good.run)}/console {short(bad.run)}/console"
    tree = shlex.join(["git", "-C", source, "checkout", bad.commit[:12]])
    yield f"look: {tree} && {found.debug_command(Path(labs))}"


def _hash(one: object) -> str:
    return str(getattr(one, "commit", one))


@contextlib.contextmanager
def stopping_git() -> Iterator[None]:
    """If the block ends the program with a status that git would take for a bad commit, such as
    that of a wrong option, git stops instead."""
    try:
        yield
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else BAD if end.code else GOOD
        if status in (GOOD, BAD, SKIP) or status >= STOP:
            raise
        raise SystemExit(STOP + status) from end


def for_git(task: Callable[[], api.Run], *, json: bool) -> int:
    """Run a lab and show it; returns the exit status that ``git bisect run`` wants.

    0: it passed. 1: it did not. 125: the sources do not compile, so the commit is skipped. 128 and
    above: git stops, because the command, the toolchain or QEMU failed.
    """
    try:
        done = task()
        print_json(done.summary()) if json else show_run(done)
        mark, _ = api.mark_of(done)
    except LabError as error:
        return STOP + fail(error)
    return {api.Mark.GOOD: GOOD, api.Mark.BAD: BAD, api.Mark.SKIP: SKIP}[mark]
