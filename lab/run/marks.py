"""Records when a session saw what: in seconds since QEMU's start, and by dom0's counter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.rundir import RunDir
from lab.util.deadline import Deadline


class Marks:
    """The marks of one session, which are events of its run.

    Attributes:
        seen: seconds from the start of QEMU to each mark.
    """

    def __init__(self, run: RunDir) -> None:
        self.seen: dict[str, float] = {}
        self._run = run
        self._clock = Deadline(0)
        self._moments: list[Mapping[str, Any]] = []

    def begin(self) -> None:
        """Note that QEMU starts now."""
        self._clock = Deadline(0)

    def add(self, what: str) -> None:
        """Remember that something was seen now."""
        self.seen[what] = self._clock.elapsed()
        self._run.event("mark", what=what, after=round(self.seen[what], 4))

    def add_moment(self, what: str, **data: Any) -> None:
        """Note an event of a run under the virtual clock; ``data`` has its virtual time."""
        self._moments.append({"what": what, **data})

    @property
    def moments(self) -> Sequence[Mapping[str, Any]]:
        """The moments noted so far. The run's digest covers them."""
        return tuple(self._moments)

    def forget_moments(self) -> None:
        """The machine starts again from a template, and so do the moments."""
        self._moments = []
