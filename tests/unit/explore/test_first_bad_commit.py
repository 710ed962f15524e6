"""The search for the first bad commit, in real git repositories."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.explore.bisection import Mark, Search
from lab.util.git_tree import GitTree


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> GitTree:
    """Twelve commits in a row; each writes its number into a file."""
    git(tmp_path, "init", "--quiet", ".")
    for number in range(12):
        (tmp_path / "number").write_text(f"{number}\n")
        git(tmp_path, "add", "number")
        git(tmp_path, "commit", "--quiet", "-m", f"Number {number}")
    return GitTree.of(tmp_path)


def number(tree: GitTree, commit: str) -> int:
    return int(git(tree.top, "show", f"{commit}:number"))


def searched(tree: GitTree, judge: Callable[[int], Mark], count: int = 1) -> Search:
    search = Search(tree, tree.commit("HEAD"), [tree.commit("HEAD~11")])
    while commits := search.next(count):
        assert len(commits) <= count
        for commit in commits:
            search.tell(commit, judge(number(tree, commit)))
    return search


@pytest.mark.parametrize("count", [2, 20])
def test_several_commits_at_a_time(tree: GitTree, count: int) -> None:
    """They divide what remains; those that cannot be judged are left out."""
    for first in (1, 6, 11):

        def judge(one: int, first: int = first) -> Mark:
            return Mark.SKIP if one == 3 else Mark.BAD if one >= first else Mark.GOOD

        found = searched(tree, judge, count)
        assert [number(tree, one) for one in found.candidates] == [first]
        assert count > 2 or len(found.marks) <= 2 + 6


def test_a_lab_that_fails_now_and_then_ends_the_search(tree: GitTree) -> None:
    """An older commit is bad and a newer one good: the older one decides."""
    found = searched(tree, lambda one: Mark.BAD if one in (4, 11) else Mark.GOOD, 2)
    assert len(found.candidates) == 1


@pytest.mark.parametrize("first", range(1, 12))
def test_the_first_bad_commit_is_found(tree: GitTree, first: int) -> None:
    """Whichever it is, and with no more runs than a halving needs."""
    search = searched(tree, lambda one: Mark.BAD if one >= first else Mark.GOOD)
    assert [number(tree, one) for one in search.candidates] == [first]
    assert len(search.marks) <= 2 + 4


def test_git_is_asked_once_a_round(tree: GitTree, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    middle = GitTree.middle

    def counted(tree: GitTree, bad: str, good: Sequence[str]) -> list[str]:
        asked.append(bad)
        return middle(tree, bad, good)

    monkeypatch.setattr(GitTree, "middle", counted)
    search = Search(tree, tree.commit("HEAD"), [tree.commit("HEAD~11")])
    rounds = 0
    while len(search.candidates) and (commits := search.next()):
        rounds += 1
        search.tell(commits[0], Mark.BAD if number(tree, commits[0]) >= 7 else Mark.GOOD)
    assert rounds > 2
    assert len(asked) == rounds + 1, "the last one says that nothing is left"


def test_commits_that_cannot_be_judged_are_skipped(tree: GitTree) -> None:
    def judge(one: int) -> Mark:
        return Mark.SKIP if one in (4, 5, 6) else Mark.BAD if one >= 9 else Mark.GOOD

    assert [number(tree, one) for one in searched(tree, judge).candidates] == [9]


def test_what_remains_if_those_beside_it_cannot_be_judged(tree: GitTree) -> None:
    def judge(one: int) -> Mark:
        return Mark.SKIP if one in (7, 8) else Mark.BAD if one >= 9 else Mark.GOOD

    assert sorted(number(tree, one) for one in searched(tree, judge).candidates) == [7, 8, 9]


def test_a_merged_branch(tree: GitTree) -> None:
    """The bad commit came with a branch; the commits beside it are good."""
    git(tree.top, "checkout", "--quiet", "-b", "side", "HEAD~6")
    for name in ("one", "two", "three"):
        (tree.top / name).touch()
        git(tree.top, "add", name)
        git(tree.top, "commit", "--quiet", "-m", name)
    wanted = tree.commit("side~1")
    git(tree.top, "checkout", "--quiet", "-")
    git(tree.top, "merge", "--quiet", "--no-edit", "side")
    search = Search(tree, tree.commit("HEAD"), [tree.commit("HEAD~8")])
    while commits := search.next(2):
        for commit in commits:
            search.tell(commit, Mark.BAD if tree.is_ancestor(wanted, commit) else Mark.GOOD)
    assert search.candidates == [wanted]


def test_git_takes_the_log(tree: GitTree, tmp_path: Path) -> None:
    """``git bisect replay`` comes to the same commit."""
    began = (tree.commit("HEAD~11"), tree.commit("HEAD"))
    search = searched(tree, lambda one: Mark.BAD if one >= 5 else Mark.GOOD)
    log = tmp_path / "bisect.log"
    log.write_text(search.log(began))
    said = git(tree.top, "bisect", "replay", str(log))
    assert f"{search.candidates[0]} is the first bad commit" in said
    git(tree.top, "bisect", "reset")


def test_a_work_tree_leaves_the_user_s_own_alone(tree: GitTree, tmp_path: Path) -> None:
    (tree.top / "number").write_text("changed\n")
    before = git(tree.top, "status", "--porcelain"), tree.commit("HEAD")
    place = tmp_path / "work"
    with tree.work_tree(place):
        (place / "built.o").touch()
        tree.check_out(place, tree.commit("HEAD~5"))
        assert (place / "number").read_text() == "6\n"
        assert not (place / "built.o").exists()
    assert not place.exists()
    assert (git(tree.top, "status", "--porcelain"), tree.commit("HEAD")) == before
    assert git(tree.top, "worktree", "list").count("\n") == 0


@pytest.fixture
def nested(tree: GitTree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A submodule of ``tree``, since its last commit; it has two commits, and a submodule."""
    places = []
    for name in ("inner", "outer"):
        place = tmp_path_factory.mktemp(name)
        git(place, "init", "--quiet", ".")
        for number in range(2):
            (place / name).write_text(f"{number}\n")
            git(place, "add", ".")
            git(place, "commit", "--quiet", "-m", f"{name} {number}")
        places.append(place)
    inner, outer = places
    for folder, one in ((outer, inner), (tree.top, outer)):
        git(folder, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(one))
        git(folder, "commit", "--quiet", "-am", "Submodule")
    own = tree.top / outer.name
    git(own, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    return own


def test_submodules_come_with_their_commit(tree: GitTree, nested: Path, tmp_path: Path) -> None:
    """Out of the user's own tree, which stays as it is; those of older commits go away."""
    before = git(nested, "rev-parse", "HEAD")
    git(nested, "checkout", "--quiet", "HEAD~1")
    git(tree.top, "commit", "--quiet", "-am", "An older one")
    git(nested, "checkout", "--quiet", before)
    inner = next(place.name for place in nested.iterdir() if place.name.startswith("inner"))
    with tree.work_tree(tmp_path / "work") as place:
        mine = place / nested.name
        tree.check_out(place, tree.commit("HEAD~1"))
        assert (mine / inner / "inner").read_text() == "1\n"
        (mine / "built.o").touch()
        tree.check_out(place, tree.commit("HEAD"))
        assert ((mine / "outer").read_text(), (mine / "built.o").exists()) == ("1\n", False)
        assert not (mine / inner / "inner").exists()
        tree.check_out(place, tree.commit("HEAD~2"))
        assert not mine.exists()
    assert git(nested, "rev-parse", "HEAD") == before


def test_submodules_that_are_not_here(tree: GitTree, nested: Path, tmp_path: Path) -> None:
    """One that the user does without is left out; one that only older commits have is an error."""
    wanted = tree.commit("HEAD")
    git(nested, "commit", "--quiet", "--allow-empty", "-m", "Nobody has it")
    git(tree.top, "commit", "--quiet", "-am", "Lost")
    lost = tree.commit("HEAD")
    git(nested, "reset", "--quiet", "--hard", "HEAD~1")
    git(nested, "reflog", "expire", "--expire=all", "--all")
    git(nested, "gc", "--quiet", "--prune=now")
    with tree.work_tree(tmp_path / "work") as place:
        with pytest.raises(UsageError, match=r"lacks .*, which commit") as caught:
            tree.check_out(place, lost)
        assert "fetch --all" in caught.value.hint
        git(tree.top, "submodule", "--quiet", "deinit", "--force", "--all")
        tree.check_out(place, wanted)
        git(tree.top, "rm", "--quiet", "--force", nested.name)
        git(tree.top, "commit", "--quiet", "-m", "Without")
        with pytest.raises(UsageError, match="which is not here") as caught:
            tree.check_out(place, wanted)
        assert "submodule update --init" in caught.value.hint


def test_a_shallow_clone_is_named(tree: GitTree, tmp_path: Path) -> None:
    git(tree.top, "clone", "--quiet", "--depth", "2", f"file://{tree.top}", str(tmp_path / "few"))
    few = GitTree.of(tmp_path / "few")
    assert (few.is_shallow, tree.is_shallow) == (True, False)
    with pytest.raises(UsageError, match="has no commit") as caught:
        few.commit(tree.commit("HEAD~5"))
    assert "git fetch --unshallow" in caught.value.hint


def test_changes_that_are_in_no_commit(tree: GitTree) -> None:
    (tree.top / "untracked").touch()
    assert not tree.is_changed
    (tree.top / "number").write_text("changed\n")
    assert tree.is_changed


def test_the_work_tree_of_a_killed_command_is_replaced(tree: GitTree, tmp_path: Path) -> None:
    git(tree.top, "worktree", "add", "--quiet", "--detach", str(tmp_path / "work"))
    with tree.work_tree(tmp_path / "work") as place:
        assert (place / "number").read_text() == "11\n"


def test_what_is_no_tree_and_no_commit(tree: GitTree, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no commit 'nothing'"):
        tree.commit("nothing")
    with pytest.raises(UsageError, match="has no commit '--all'"):
        tree.commit("--all")
    with pytest.raises(UsageError, match="No such file"):
        GitTree.of(tmp_path / "missing")


def test_a_folder_in_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match="is in no git repository that can be read"):
        GitTree.of(tmp_path)


def test_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="there is no git"):
        GitTree.of(tmp_path)
