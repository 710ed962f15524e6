"""A git repository of the user's: its commits, and work trees to build one of them.

Only git's own commands are used (git-rev-list(1), git-worktree(1)). The user's own work tree, index
and branches stay as they are.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError, UsageError
from lab.model import Completed
from lab.util import process
from lab.util.terminal import escape, escape_lines, quote

#: Seconds for a git command. A checkout of Linux takes some ten seconds.
LIMIT = 600.0


@dataclass(frozen=True)
class GitTree:
    """A repository. ``top``: the top folder of the user's work tree."""

    top: Path

    @classmethod
    def of(cls, path: Path) -> GitTree:
        """The repository that has the folder ``path``.

        Raises:
            UsageError: there is none, or no git.
        """
        try:
            place = path.resolve(strict=True)
        except OSError as error:
            raise UsageError(f"{quote(str(path))}: {error.strerror}") from None
        folder = place if place.is_dir() else place.parent
        done = _run(folder, "rev-parse", "--show-toplevel")
        if done.returncode:
            raise UsageError(
                f"{quote(str(path))} is in no git repository that can be read",
                tail=escape_lines(done.stderr),
                hint="name the folder of a tree with its history: git clone, then --source TREE",
            )
        return cls(Path(_text(done)))

    def commit(self, name: str) -> str:
        """The full hash of a commit, by any name that git knows.

        Raises:
            UsageError: there is no such commit.
        """
        found = _git(self.top, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        if not found or name.startswith("-"):
            raise UsageError(f"{escape(str(self.top))} has no commit {quote(name)}")
        return found

    def subject(self, commit: str) -> str:
        """The first line of its message."""
        return _git(self.top, "show", "--no-patch", "--format=%s", commit)

    def about(self, commit: str) -> str:
        """Its hash, author, date and message, as ``git show`` prints them."""
        return _git(self.top, "show", "--no-patch", "--format=medium", commit)

    def is_ancestor(self, one: str, other: str) -> bool:
        return _git(self.top, "merge-base", one, other) == one

    def parents(self, commit: str) -> list[str]:
        return _git(self.top, "show", "--no-patch", "--format=%P", commit).split()

    def middle(self, bad: str, good: Sequence[str]) -> list[str]:
        """The commits to try, the best first: it halves what remains (git-rev-list(1))."""
        found = _git(self.top, "rev-list", "--bisect-all", bad, "--not", *good)
        return [line.split()[0] for line in found.splitlines()]

    def oldest_first(self, bad: str, good: Sequence[str]) -> list[str]:
        """The same commits; each comes after its parents."""
        return _git(
            self.top, "rev-list", "--topo-order", "--reverse", bad, "--not", *good
        ).splitlines()

    @contextlib.contextmanager
    def work_tree(self, folder: Path) -> Iterator[Path]:
        """A work tree of its own at ``folder``, with the current commit; removed at the end."""
        self._forget(folder)
        self._must("worktree", "add", "--detach", "--force", str(folder), "HEAD")
        try:
            yield folder
        finally:
            self._forget(folder)

    def check_out(self, folder: Path, commit: str) -> None:
        """Put a commit into a work tree. Files that git does not know are removed."""
        for words in (("checkout", "--quiet", "--force", "--detach", commit),
                      ("clean", "--quiet", "-ffdx")):  # fmt: skip
            GitTree(folder)._must(*words)

    def _forget(self, folder: Path) -> None:
        if folder.exists():
            _git(self.top, "worktree", "remove", "--force", "--force", str(folder))
        _git(self.top, "worktree", "prune")

    def _must(self, *words: str) -> None:
        done = _run(self.top, *words)
        if done.returncode:
            raise LabError(
                f"git {words[0]} failed in {escape(str(self.top))}",
                command=" ".join(done.argv),
                tail=escape_lines(done.stderr),
            )


def _git(folder: Path, *words: str) -> str:
    """What a git command printed; empty if it failed."""
    done = _run(folder, *words)
    return "" if done.returncode else _text(done)


def _text(done: Completed) -> str:
    return done.stdout.decode(errors="surrogateescape").strip()


def _run(folder: Path, *words: str) -> Completed:
    """Run git in a folder. No hooks of the repository run.

    Raises:
        UsageError: there is no git.
    """
    argv = ["git", "-c", f"core.hooksPath={os.devnull}", "-C", str(folder), *words]
    try:
        return process.run(argv, timeout=LIMIT)
    except FileNotFoundError:
        hint = "install it: apt-get install git"
        raise UsageError("there is no git on this machine", hint=hint) from None
