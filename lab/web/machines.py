"""What the lab of a seat does now: its state, its consoles, its domains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab import rundir
from lab.errors import LabError
from lab.machine.log_lines import tail
from lab.model import Domain
from lab.run import asleep, claim, live, stands
from lab.run.session import Session
from lab.rundir import RunDir
from lab.toolchain import adopt
from lab.web.classroom import Seat
from lab.web.reports import is_traced


@dataclass(frozen=True)
class Now:
    """A seat's lab.

    Attributes:
        state: ``off``, ``starting``, ``running``, ``asleep`` (nobody looks at it), ``stands`` (it
            crashed and was left standing) or ``ended`` (its machine ended by itself).
        run: the folder of its run, or of its last one; ``None`` if it never ran.
        consoles: Xen's, dom0's and those of its guests.
        problem: why dom0 does not answer, or why it stands.
        last: the last line of its most telling console.
    """

    state: str = "off"
    run: Path | None = None
    consoles: tuple[str, ...] = ()
    domains: tuple[Domain, ...] = ()
    problem: str = ""
    last: str = ""

    def shown(self) -> dict[str, Any]:
        """As the page gets it."""
        return {
            "state": self.state,
            "run": self.run.name if self.run else "",
            "consoles": list(self.consoles),
            "domains": [
                {
                    "name": one.name, "id": one.id, "memory": one.memory, "vcpus": one.vcpus,
                    "state": one.state, "time": one.time, "note": one.note,
                }
                for one in self.domains
            ],
            "problem": self.problem,
            "last": self.last,
            "traced": self.run is not None and is_traced(RunDir(self.run)),
        }  # fmt: skip


def seen(seat: Seat) -> Now:
    """What the host knows without asking dom0."""
    found, maker = live.find(seat.lab), claim.maker(seat.lab)
    if found is None:
        last = rundir.latest_run(seat.folder / "runs", seat.name)
        state = "starting" if maker else "off"
        return Now(state, last.path, tuple(last.consoles())) if last else Now(state)
    consoles = found.run.consoles()
    known = Now(run=found.run.path, consoles=tuple(consoles), last=_last(consoles))
    if why := stands.why(found.lab):
        return replace(known, state="stands", problem=why)
    if found.record and not adopt(found.record).alive():
        return replace(known, state="ended", problem="the machine of this lab ended by itself")
    if found.running and asleep.is_asleep(found.lab):
        return replace(known, state="asleep")
    return replace(known, state="running" if found.running else "starting")


async def asked(seat: Seat, known: Now) -> Now:
    """The same with the domains, as dom0 says; ``problem`` says if it does not answer."""
    found = live.find(seat.lab)
    if known.state != "running" or found is None or found.still:
        return known
    try:
        async with Session(found.lab, found.run, found.state) as session:
            return replace(known, domains=tuple(await session.domains()))
    except LabError as error:
        return replace(known, problem=error.message)


def _last(consoles: Mapping[str, Path]) -> str:
    """The last line of the last guest's console, else of dom0's or Xen's; escaped."""
    for log in reversed([*consoles.values()]):
        if line := tail(log, 1).strip():
            return line
    return ""
