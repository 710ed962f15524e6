"""How and when guests ended, as dom0's program lab-fate says it in dom0's log.

Its times are of dom0's counter, in seconds, on either clock.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from lab.machine.log_lines import LogReader, RawLine
from lab.model import Domain
from lab.rundir import RunDir

_END = re.compile(
    rb"^(?:<\d+>)?(?:\[[^\]]*\] ?)?lab: domain ([a-z0-9_-]{1,32}) "
    rb"(crashed|powered off|rebooted|was suspended|was ended by its watchdog|ended)"
    rb"(?: \(made (\d{1,10}\.\d{6}), ended (\d{1,10}\.\d{6})\))?$"
)
CRASHED = "crashed"


@dataclass(frozen=True)
class End:
    """The end of a guest's domain. ``how``: ``crashed``, ``powered off``, …; ``made`` and
    ``ended``: when; both 0: it was not said."""

    guest: str
    how: str
    made: float = 0.0
    ended: float = 0.0

    def words(self, began: float | None = None) -> str:
        """``powered off after 12 ms``. ``began``: when guests that were created paused were let
        run; one that was made later began then."""
        if not self.ended:
            return self.how
        return f"{self.how} after {duration(self.ended - max(self.made, began or 0.0))}"


def end_in(line: RawLine) -> End | None:
    """The end that this line tells of. Only dom0 is asked, and only it can say so."""
    match = _END.search(line.raw) if line.console == "dom0" else None
    if not match:
        return None
    guest, how, made, ended = match.groups()
    return End(guest.decode(), how.decode(), float(made or 0), float(ended or 0))


def of(run: RunDir) -> dict[str, End]:
    """The ends that dom0 has told of in a run: of each guest the last one."""
    found = {}
    reader = LogReader("dom0", run.console("dom0"))
    try:
        while lines := reader.read():
            found.update({end.guest: end for line in lines if (end := end_in(line))})
    finally:
        reader.close()
    return found


class EndWatch:
    """What dom0 tells from now on of the end of one guest. ``already``: how that guest ended
    before; empty: it runs."""

    def __init__(self, run: RunDir, guest: str, already: str = "") -> None:
        self.log = run.console("dom0")
        self._run, self._guest = run, guest
        self._reader = LogReader("dom0", self.log)
        while self._reader.read():
            pass
        self._already = f"guest {guest} {already}" if already else ""

    def news(self) -> str:
        """``guest hello powered off after 12 ms``; empty: nothing new."""
        said, self._already = self._already, ""
        while lines := self._reader.read():
            for end in filter(None, map(end_in, lines)):
                if end.guest == self._guest:
                    said = f"guest {end.guest} {end.words(began(self._run))}"
        return said

    def close(self) -> None:
        self._reader.close()


def began(run: RunDir) -> float | None:
    """When guests that were created paused were let run, by dom0's counter; ``None``: none was."""
    found = run.manifest().get("began")
    return float(found) if isinstance(found, int | float) else None


def told(run: RunDir, domains: Sequence[Domain]) -> list[Domain]:
    """The domains, each with what there is to say of it: how it ended, or that it is silent."""
    ends = of(run) if any(_is(one, "sc") for one in domains) else {}
    start = began(run) if ends else None
    silent = _silent(run)
    found = []
    for one in domains:
        note = ""
        if _is(one, "sc") and one.name in ends:
            note = ends[one.name].words(start)
        elif one.name in silent and not _is(one, "scdp"):
            note = f"has said nothing, after {one.time:.1f} s of CPU time"
        found.append(replace(one, note=note))
    return found


def _silent(run: RunDir) -> set[str]:
    """The guests whose consoles have a log with nothing in it."""
    found = set()
    for name, path in run.consoles().items():
        with suppress(OSError):
            if name not in ("xen", "dom0") and not path.stat().st_size:
                found.add(name)
    return found


def duration(seconds: float) -> str:
    """For people: ``0.4 ms``, ``12 ms``, ``1.24 s``, ``312 s``."""
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * 1000:.{1 if seconds < 0.01 else 0}f} ms"
    return f"{seconds:.{2 if seconds < 10 else 0}f} s"


def _is(domain: Domain, letters: str) -> bool:
    """Whether its state has one of these letters of ``xl list``."""
    return bool(set(domain.state) & set(letters))
