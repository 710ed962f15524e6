"""A planted commit in the tree of a guest: found by ``lab.bisect``, and by git with ``lab.run``."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from system.world import ROOT, World

LABS = """
hypervisors: {stock: {from: package}}
guests: {mine: {freertos: app/source}}
labs:
  mine:
    guests: [mine]
    expect: [{on: mine, line: "hello from FreeRTOS", within: 3s}]
"""
#: What is added to main.c by each commit. The third does not compile, the fourth mends that, and
#: the fifth is the planted one.
CHANGES = ["/* 1 */", "/* 2 */", "#error", "/* 4 */", "/* hallo */", "/* 6 */"]


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    argv = ["git", "-C", str(folder), *who, *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return planted(tmp_path)


def planted(tmp_path: Path) -> Path:
    """The tree of a guest with its history, beside a labs.yaml."""
    (tmp_path / "labs.yaml").write_text(LABS)
    tree = tmp_path / "app"
    shutil.copytree(ROOT / "images/freertos/apps/hello", tree / "source")
    before = (tree / "source/main.c").read_text()
    git(tree, "init", "--quiet", "--initial-branch=main", ".")
    for number, change in enumerate(["", *CHANGES]):
        code = before.replace("hello from", "hallo from") if number >= 5 else before
        (tree / "source/main.c").write_text(f"{code}{change}\n")
        git(tree, "add", ".")
        git(tree, "commit", "--quiet", "-m", f"Change {number}")
    return tree


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_planted_commit_is_found(world: World, app: Path, jobs: int) -> None:
    """One commit at a time, or two, which divide what remains into three parts."""
    words = ["--source", "app", "--good", "HEAD~6", "--jobs", str(jobs)]
    planted = git(app, "rev-parse", "HEAD~1")
    said = world.run("lab.bisect", "mine", *words, "--json", cwd=app.parent)
    found = json.loads(said.out)
    assert [one["subject"] for one in found["remaining"]] == ["Change 5"]
    assert found["last_good"]["subject"] == "Change 4"
    skipped = {one["subject"]: one["reason"] for one in found["tried"] if one["mark"] == "skip"}
    assert list(skipped) == (["Change 3"] if jobs == 1 else [])
    assert all("does not build" in reason for reason in skipped.values())
    log = git(app, "bisect", "replay", str(Path(found["folder"]) / "bisect.log"))
    assert f"{planted} is the first bad commit" in log
    git(app, "bisect", "reset")
    assert git(app, "worktree", "list").count("\n") == 0
    assert git(app, "status", "--porcelain") == ""


def test_the_command_that_looks_at_the_bad_run(world: World, app: Path) -> None:
    """What the search prints at its end goes to just before the failure, as it is, also if
    labs.yaml is in another folder."""
    above, tree = app.parents[1], str(app.relative_to(app.parents[1]))
    labs = str(app.relative_to(above).with_name("labs.yaml"))
    said = world.run("lab.bisect", "mine", "--source", tree, "--labs", labs, "--good",
                     "HEAD~2", cwd=above)  # fmt: skip
    assert "trace.diff" not in said.out, "this lab has no traces"
    (look,) = (line for line in said.out.splitlines() if line.startswith("look: "))
    tree, _, debug = look.removeprefix("look: ").partition(" && ./inv ")
    subprocess.run(shlex.split(tree), check=True, capture_output=True, cwd=above)
    commands = app.parent / "commands"
    commands.write_text("lab now\n")
    words = [*shlex.split(debug), "--batch", "--command", str(commands)]
    assert "before the failure" in world.run(*words, cwd=above).err


def test_what_git_bisect_run_is_told(world: World, app: Path) -> None:
    for back, status in ((6, 0), (3, 125), (1, 1)):
        git(app, "checkout", "--quiet", f"main~{back}")
        world.run("lab.run", "mine", "--bisect", cwd=app.parent, status=status)
    world.run("lab.run", "nothing", "--bisect", cwd=app.parent, status=130)
    world.run("lab.run", "mine", "--bisect", "--publish", cwd=app.parent, status=130)
    world.run("lab.run", "mine", "--bisect", "--nonsense", cwd=app.parent, status=130)
