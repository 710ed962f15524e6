"""Ends the traces just before a lab is stopped, so that their files are complete."""

from __future__ import annotations

from lab.errors import LabError
from lab.model import Lab
from lab.progress import Progress
from lab.run.live import Live
from lab.run.session import Session
from lab.util import signals


async def collect(session: Session, lab: Lab, say: Progress) -> None:
    """End the traces of a lab's guests. If dom0 cannot do that, the traces are cut off; this is no
    error."""
    if not (lab.trace or lab.traced):
        return
    with say.stage("collecting traces"):
        try:
            await session.stop_traces()
        except LabError as error:
            session.run.event("traces cut off", reason=error.message)


def collect_late(found: Live) -> None:
    """Do the same for a lab that another command started."""
    if not (found.run.trace_dir / "log").exists():
        return

    async def go() -> None:
        async with Session(found.lab, found.run, found.state) as session:
            await session.stop_traces()

    try:
        signals.run(go())
    except LabError as error:
        found.run.event("traces cut off", reason=error.message)
