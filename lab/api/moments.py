"""Moments of a run that a person can name, and what stops a run there."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lab.api import traces
from lab.config import units
from lab.debug import targets
from lab.debug.domains import find
from lab.debug.mapping import Dump
from lab.debug.stopped import Place, Stopped
from lab.debug.targets import AtTime, BeforeTime, IsGuest, Target
from lab.errors import UsageError
from lab.machine.merged_consoles import find_zeros, merge
from lab.run import digest
from lab.rundir import RunDir
from lab.util.terminal import escape, quote

#: Seconds from a moment before a guest prints a line until dom0 has it.
EARLIER = 0.005
#: When the guests began, in seconds of dom0's counter; ``None`` before that.
Began = Callable[[], float | None]


@dataclass(frozen=True)
class Moment:
    """A moment of a run; exactly one of these is given.

    Attributes:
        at: seconds since its guests began, as ``lab.run`` counts.
        before: a text on a console: before it is printed for the first time.
        failure: before what the verdict blames.
        event: a record of a trace: before it is written (:mod:`lab.trace.named_records`).
    """

    at: str = ""
    before: str = ""
    failure: bool = False
    event: str = ""

    def __bool__(self) -> bool:
        return bool(self.at or self.before or self.failure or self.event)

    def words(self) -> str:
        """``at 2.5s``."""
        if self.at:
            return f"at {self.at}"
        if self.failure:
            return "before the failure"
        if self.event:
            return f"before {escape(self.event)}"
        return f"before {quote(self.before)}" if self.before else "at a breakpoint"


class Moments:
    """The moments of a run. ``names``: its guests by the numbers of their domains."""

    def __init__(self, run: RunDir, names: Mapping[int, str], dump: Dump) -> None:
        self._run = run
        self._names = names
        self._dump = dump

    def target(self, moment: Moment, began: Began) -> Target:
        """What stops a run at a moment. ``began``: when its guests began.

        Raises:
            UsageError: the run has no such moment.
        """
        if moment.at:
            try:
                after = units.seconds(moment.at)
            except ValueError as error:
                raise UsageError(f"--at: {error}") from None
            return AtTime(after=after, began=began)
        if moment.before:
            return self._before(began, moment.before)
        if moment.event:
            return BeforeTime(traces.time_of_record(self._run, moment.event), began)
        return self._failure(began)

    def _before(self, began: Began, text: str) -> Target:
        for entry in merge(self._run.consoles(), self._run.times_file):
            if text in entry.line.text and entry.time is not None:
                after = entry.time - self._zero() - EARLIER
                return AtTime(after=max(0.0, after), began=began)
        raise UsageError(f"no console of run {self._run.id} has a line with {quote(text)}")

    def _zero(self) -> float:
        """When the guests began, on the clock of the consoles' lines."""
        counter = find_zeros(self._run.console("xen")).counter
        return counter + float(self._run.manifest().get("began") or 0.0)

    def time_of(self, console: str, line: int) -> float | None:
        """When a console had a line (from 0), in seconds since the guests began."""
        found = (one for one in merge(self._run.consoles(), self._run.times_file)
                 if one.line.console == console)  # fmt: skip
        entry = next(itertools.islice(found, line, None), None)
        return None if entry is None or entry.time is None else entry.time - self._zero()

    def _failure(self, began: Began) -> Target:
        manifest = self._run.manifest()
        if manifest.get("verdict") != "fail":
            raise UsageError(f"run {self._run.id} did not fail")
        name = str(manifest.get("crashed") or "")
        with contextlib.suppress(UsageError):  # no guest of our port: where the verdict was decided
            return targets.before_crash(self._run.guest_dir / f"{name}.elf", self._is_guest(name))
        decided = digest.decided(self._run)
        if decided is None:
            raise UsageError(f"run {self._run.id} has no moment at which it failed")
        return AtTime(after=decided, began=began)

    def _is_guest(self, name: str) -> IsGuest:
        known: dict[int, str] = {}

        async def here(stopped: Stopped, place: Place) -> bool:
            if place.hyp:
                return False
            if place.vmid not in known:
                found = await find(stopped, self._dump, self._names)
                known.update({one.vmid: one.name for one in found})
            return known.get(place.vmid) == name

        return here
