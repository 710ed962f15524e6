"""A git repository of the user's: its commits, and work trees to build one of them.

Only git's own commands are used (git-rev-list(1), git-worktree(1)). The user's own work tree, index
and branches stay as they are.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError, UsageError
from lab.model import Completed
from lab.util import process
from lab.util.terminal import escape, escape_lines, quote

#: Seconds for a git command. A checkout of Linux takes some ten seconds.
LIMIT = 600.0
#: What to do if older commits are missing.
COMPLETE = "it is a shallow clone, which lacks older commits: git fetch --unshallow"


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
            hint = COMPLETE if self.is_shallow else ""
            raise UsageError(f"{escape(str(self.top))} has no commit {quote(name)}", hint=hint)
        return found

    @property
    def is_shallow(self) -> bool:
        """Whether older commits are missing here."""
        return _git(self.top, "rev-parse", "--is-shallow-repository") == "true"

    @property
    def is_changed(self) -> bool:
        """Whether files differ from those of the current commit."""
        return bool(_git(self.top, "status", "--porcelain", "--untracked-files=no"))

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
        self.forget(folder)
        self._must("worktree", "add", "--detach", "--force", str(folder), "HEAD")
        try:
            yield folder
        finally:
            self.forget(folder)

    def check_out(self, folder: Path, commit: str) -> None:
        """Put a commit into a work tree, with its submodules. Files that git does not know are
        removed.

        Raises:
            UsageError: the user's own tree lacks a submodule, or the commit of it.
        """
        for words in (("checkout", "--quiet", "--force", "--detach", commit),
                      ("clean", "--quiet", "-ffdx")):  # fmt: skip
            GitTree(folder)._must(*words)
        for place, wanted in self.submodules(commit):
            own = self._submodule(place, commit)
            if own is None:
                continue
            if not own.has(wanted):
                raise UsageError(
                    f"submodule {escape(place)} of {escape(str(self.top))} lacks {wanted[:12]}, "
                    f"which commit {commit[:12]} has there",
                    hint=f"get it: git -C {shlex.quote(str(self.top / place))} fetch --all",
                )
            if not (folder / place / ".git").exists():
                # It borrows the objects of the user's, so that nothing is fetched.
                self._must("clone", "--quiet", "--shared", "--no-checkout", str(own.top),
                           str(folder / place))  # fmt: skip
            own.check_out(folder / place, wanted)

    def has(self, commit: str) -> bool:
        """Whether this commit, given by its hash, is here."""
        return _run(self.top, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0

    def submodules(self, commit: str) -> list[tuple[str, str]]:
        """The path and the commit of each submodule that a commit has (gitsubmodules(7))."""
        named = _git(self.top, "config", "--blob", f"{commit}:.gitmodules", "-z", "--get-regexp",
                     r"^submodule\..*\.path$")  # fmt: skip
        if not named:
            return []
        paths = {entry.partition("\n")[2] for entry in named.split("\0")}
        found = _git(self.top, "ls-tree", "-r", "-z", "--full-tree", commit)
        entries = (entry.partition("\t") for entry in found.split("\0"))
        return [(path, words.split()[2]) for words, _, path in entries
                if words.startswith("160000 commit ") and path in paths]  # fmt: skip

    def _submodule(self, place: str, commit: str) -> GitTree | None:
        """The user's own copy of a submodule; ``None`` if the user, too, does without it."""
        own = self.top / place
        if (own / ".git").exists():
            return GitTree(own)
        if place in (path for path, _ in self.submodules("HEAD")):
            return None
        raise UsageError(
            f"commit {commit[:12]} of {escape(str(self.top))} has submodule {escape(place)}, "
            "which is not here",
            hint=f"get it: git -C {shlex.quote(str(self.top))} submodule update --init --recursive",
        )

    def forget(self, folder: Path) -> None:
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
