"""What the lab of a seat does now: its state, its consoles, its domains."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab import rundir
from lab.errors import LabError
from lab.machine import postmortem
from lab.machine.log_lines import last_line
from lab.model import Domain
from lab.run import asleep, claim, live, stands
from lab.run.session import Session
from lab.rundir import RunDir
from lab.toolchain import adopt
from lab.web.classroom import Seat
from lab.web.discretion import discreet
from lab.web.reports import is_traced


@dataclass(frozen=True)
class Now:
    """A seat's lab.

    Attributes:
        state: ``off``, ``starting``, ``running``, ``asleep`` (nobody looks at it), ``stands`` (it
            crashed and was left standing) or ``ended`` (its machine ended by itself).
        run: the folder of its run, or of its last one; ``None`` if it never ran.
        consoles: Xen's, dom0's and those of its guests.
        problem: why dom0 does not answer, or why it stands or ended.
        last: the last line of its most telling console.
        traced: its run keeps timing traces.
    """

    state: str = "off"
    run: Path | None = None
    consoles: tuple[str, ...] = ()
    domains: tuple[Domain, ...] = ()
    problem: str = ""
    last: str = ""
    traced: bool = False

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
            "traced": self.traced,
        }  # fmt: skip


def seen(seat: Seat) -> Now:
    """What the host knows without asking dom0."""
    lab = seat.lab
    found, maker = live.find(lab), claim.maker(lab)
    if found is None:
        return _was(seat, starts=maker is not None)
    consoles = found.run.consoles()
    known = replace(_of_run(found.run, consoles), last=_last(consoles.values()))
    if why := stands.why(found.lab):
        return replace(known, state="stands", problem=discreet(why, seat.folder))
    if found.record and not adopt(found.record).alive():
        why = discreet(postmortem.by_itself(found.run), seat.folder)
        return replace(known, state="ended", problem=why)
    if found.running and asleep.is_asleep(found.lab):
        return replace(known, state="asleep")
    return replace(known, state="running" if found.running else "starting")


def _was(seat: Seat, *, starts: bool) -> Now:
    """A lab that is not there, after its last run. Any command of this user cleans up after a
    machine that ended by itself; the manifest says that."""
    run = rundir.latest_run(seat.folder / "runs", seat.name)
    if run is None:
        return Now("starting" if starts else "off")
    known = _of_run(run, run.consoles())
    if starts:
        return replace(known, state="starting")
    manifest = run.manifest()
    if manifest.get("life") == rundir.LOST:
        why = discreet(str(manifest.get("reason") or ""), seat.folder)
        return replace(known, state="ended", problem=why)
    return known


def _of_run(run: RunDir, consoles: Mapping[str, Path]) -> Now:
    return Now(run=run.path, consoles=tuple(consoles), traced=is_traced(run))


async def asked(seat: Seat, known: Now) -> Now:
    """The same with the domains, as dom0 says; ``problem`` says if it does not answer."""
    found = live.find(seat.lab)
    if known.state != "running" or found is None or found.still:
        return known
    try:
        async with Session(found.lab, found.run, found.state) as session:
            return replace(known, domains=tuple(await session.domains()))
    except LabError as error:
        return replace(known, problem=discreet(error.message, seat.folder))


def with_last(known: Now) -> Now:
    """The same with the last line as it is now. That costs the same however much was said."""
    if known.run is None:
        return known
    run = RunDir(known.run)
    return replace(known, last=_last([run.console(name) for name in known.consoles]))


def _last(consoles: Collection[Path]) -> str:
    """The last line of the last guest's console, else of dom0's or Xen's; escaped."""
    return next((line for log in reversed([*consoles]) if (line := last_line(log).strip())), "")
