"""Searches the first bad commit: which commits remain, and which one to try next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Mark(StrEnum):
    """What a run says about a commit. The words are git's (git-bisect(1))."""

    GOOD = "good"
    BAD = "bad"
    SKIP = "skip"


class History(Protocol):
    """Commits and their order; see :class:`lab.util.git_tree.GitTree`."""

    def middle(self, bad: str, good: Sequence[str]) -> list[str]: ...

    def subject(self, commit: str) -> str: ...


@dataclass
class Search:
    """A search between commits that are known.

    Attributes:
        bad: the commit that is bad and has the fewest commits before it, of those known.
        marks: every commit that was tried, in order, and what it is.
    """

    history: History
    bad: str
    good: list[str]
    marks: dict[str, Mark] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.marks |= {self.bad: Mark.BAD, **dict.fromkeys(self.good, Mark.GOOD)}

    @property
    def candidates(self) -> list[str]:
        """The commits of which one is the first bad one. If there is one, it is found."""
        return self.history.middle(self.bad, self.good)

    def next(self) -> str | None:
        """The commit to try; ``None`` if none is left."""
        return next((one for one in self.candidates if one not in self.marks), None)

    def tell(self, commit: str, mark: Mark) -> None:
        """Note what a commit is."""
        self.marks[commit] = mark
        if mark is Mark.BAD:
            self.bad = commit
        elif mark is Mark.GOOD:
            self.good.append(commit)

    def log(self, began: tuple[str, str]) -> str:
        """What ``git bisect replay`` takes. ``began``: the good and the bad commit given first."""
        good, bad = began
        lines = [f"git bisect start '{bad}' '{good}'"]
        for commit, mark in self.marks.items():
            lines.append(f"# {mark}: [{commit}] {self.history.subject(commit)}")
            if commit not in began:
                lines.append(f"git bisect {mark} {commit}")
        return "\n".join(lines) + "\n"
