"""How and when guests ended, as dom0's program lab-fate reports it in dom0's log.

Its times are seconds of dom0's counter, under the host's clock as well as the virtual one.
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
#: What may be wrong with a guest that prints nothing on a machine with this controller. A domain's
#: interrupt controller is of the same version as the machine's.
GICV3 = "; has it a driver for GICv3? The machine has one (gic: 3)"


@dataclass(frozen=True)
class End:
    """The end of a guest's domain.

    Attributes:
        how: ``crashed``, ``powered off``, …
        made, ended: when the domain was created and when it ended, in seconds of dom0's
            counter; both 0 if the log does not say.
    """

    guest: str
    how: str
    made: float = 0.0
    ended: float = 0.0

    def words(self, began: float | None = None) -> str:
        """The end in words: ``powered off after 12 ms``.

        ``began``: when the guests that were created paused began to run. A guest that was
        created later began to run at once.
        """
        if not self.ended:
            return self.how
        return f"{self.how} after {duration(self.ended - max(self.made, began or 0.0))}"


def end_in(line: RawLine) -> End | None:
    """The end that this line reports, if any. Only a line of dom0's console can."""
    match = _END.search(line.raw) if line.console == "dom0" else None
    if not match:
        return None
    guest, how, made, ended = match.groups()
    return End(guest.decode(), how.decode(), float(made or 0), float(ended or 0))


def of(run: RunDir) -> dict[str, End]:
    """The last end of each guest that dom0 has reported in a run, by name."""
    found = {}
    reader = LogReader("dom0", run.console("dom0"))
    try:
        while lines := reader.read():
            found.update({end.guest: end for line in lines if (end := end_in(line))})
    finally:
        reader.close()
    return found


class EndWatch:
    """Tells when one guest ends from now on.

    ``already``: how the guest ended before; empty if it runs.
    """

    def __init__(self, run: RunDir, guest: str, already: str = "") -> None:
        self.log = run.console("dom0")
        self._run, self._guest = run, guest
        self._reader = LogReader("dom0", self.log)
        while self._reader.read():
            pass
        self._already = f"guest {guest} {already}" if already else ""

    def news(self) -> str:
        """The end in words: ``guest hello powered off after 12 ms``; empty if nothing is new."""
        said, self._already = self._already, ""
        while lines := self._reader.read():
            for end in filter(None, map(end_in, lines)):
                if end.guest == self._guest:
                    said = f"guest {end.guest} {end.words(began(self._run))}"
        return said

    def close(self) -> None:
        self._reader.close()


def began(run: RunDir) -> float | None:
    """When the guests that were created paused began to run, in seconds of dom0's counter.

    ``None`` if no guest was created paused.
    """
    found = run.manifest().get("began")
    return float(found) if isinstance(found, int | float) else None


def told(run: RunDir, domains: Sequence[Domain]) -> list[Domain]:
    """Returns the domains. Each has a note on how it ended, or that it has printed nothing."""
    ends = of(run) if any(_is(one, "sc") for one in domains) else {}
    start = began(run) if ends else None
    silent = _silent(run)
    why = GICV3 if silent and run.manifest().get("gic") == 3 else ""
    found = []
    for one in domains:
        note = ""
        if _is(one, "sc") and one.name in ends:
            note = ends[one.name].words(start)
        elif one.name in silent and not _is(one, "scdp"):
            note = f"has printed nothing after {one.time:.1f} s of CPU time{why}"
        found.append(replace(one, note=note))
    return found


def _silent(run: RunDir) -> set[str]:
    """The guests whose logs are empty."""
    found = set()
    for name, path in run.consoles().items():
        with suppress(OSError):
            if name not in ("xen", "dom0") and not path.stat().st_size:
                found.add(name)
    return found


def duration(seconds: float) -> str:
    """A length of time for people: ``0.4 ms``, ``12 ms``, ``1.24 s``, ``312 s``."""
    seconds = max(0.0, seconds)
    if seconds < 1:
        return f"{seconds * 1000:.{1 if seconds < 0.01 else 0}f} ms"
    return f"{seconds:.{2 if seconds < 10 else 0}f} s"


def _is(domain: Domain, letters: str) -> bool:
    """Whether a domain's state has one of these letters of ``xl list``."""
    return bool(set(domain.state) & set(letters))
