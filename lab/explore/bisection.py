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

    def oldest_first(self, bad: str, good: Sequence[str]) -> list[str]: ...

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
    _known: tuple[tuple[str, ...], list[str]] = field(default=((), []), repr=False)

    def __post_init__(self) -> None:
        self.marks |= {self.bad: Mark.BAD, **dict.fromkeys(self.good, Mark.GOOD)}

    @property
    def candidates(self) -> list[str]:
        """The commits of which one is the first bad one. If there is one, it is found."""
        between = (self.bad, *self.good)
        if self._known[0] != between:  # git takes seconds for the history of Linux
            self._known = between, self.history.middle(self.bad, self.good)
        return self._known[1]

    def next(self, count: int = 1) -> list[str]:
        """The commits to try at the same time, the oldest first; empty if none is left.

        One halves what remains; ``count`` of them divide it into ``count`` + 1 parts.
        """
        if count == 1:
            return [one for one in self.candidates if one not in self.marks][:1]
        left = [one for one in self.history.oldest_first(self.bad, self.good)
                if one not in self.marks]  # fmt: skip
        places = {(number * (len(left) + 1)) // (count + 1) - 1 for number in range(1, count + 1)}
        return [left[place] for place in sorted(places) if place >= 0] or left[:1]

    def tell(self, commit: str, mark: Mark) -> None:
        """Note what a commit is. Where it lies says nothing if it is no candidate any more."""
        self.marks[commit] = mark
        if commit not in self.candidates:
            return
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
