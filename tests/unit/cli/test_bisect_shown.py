"""What ``lab.bisect`` prints: the commits, and why the first bad one is bad."""

from __future__ import annotations

from pathlib import Path

from lab import api
from lab.api.bisection import Tried
from lab.cli import bisection

GOOD = Tried("a" * 40, "before", api.Mark.GOOD, run=Path("runs/tree/one"))
BAD = Tried(
    "b" * 40, "init: a change", api.Mark.BAD, f"dom0's kernel panicked {'while it waited ' * 5}",
    Path("runs/tree/two"), "a line\nKernel panic: broken",
)  # fmt: skip


def test_the_first_bad_commit_has_its_reason_and_the_lines_that_show_it() -> None:
    found = api.Bisected((GOOD, BAD), (BAD,), Path("runs/bisect-tree/x"), "commit bbb", GOOD)
    lines = list(bisection._shown(found, "tree", "labs.yaml"))
    at = lines.index(f"with it: {BAD.reason}")
    assert lines[at + 1 : at + 3] == ["    a line", "    Kernel panic: broken"]
    assert "diff -r" in lines[at + 3], "without traces there is nothing for trace.diff"
    look = "git -C tree checkout bbbbbbbbbbbb && ./inv lab.debug tree/two --before-failure"
    assert lines[-2] == f"look: {look}"
    elsewhere = list(bisection._shown(found, "tree", "my labs/labs.yaml"))
    assert elsewhere[-2] == f"look: {look} --labs 'my labs/labs.yaml'"
    assert lines[-1].endswith("bisect-tree/x/bisect.log")


def test_several_commits_may_remain() -> None:
    found = api.Bisected((GOOD,), (BAD, "c" * 40), Path("runs/x"))
    lines = list(bisection._shown(found, "tree", "labs.yaml"))
    assert "the first bad commit is one of 2; others cannot be judged:" in lines
    assert f"  {'c' * 40}" in lines
