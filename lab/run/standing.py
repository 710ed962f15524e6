"""The machine of a session, as a debugger sees it while it stands still.

The debugger's modules are imported when one looks: all runs load this one, and few need those.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING

from lab.errors import MachineError
from lab.model import Plan
from lab.run.session import Session

if TYPE_CHECKING:
    from lab.debug.monitor import LabMonitor
    from lab.machine.gdbstub import Stub


def names_of(plan: Plan) -> dict[int, str]:
    """The names of the guests by the numbers that their domains get, unless a step changes them."""
    guests = [*plan.booted, *plan.in_order]
    return {number: one.name for number, one in enumerate(guests, 1)}


@contextlib.asynccontextmanager
async def still(
    session: Session, names: Mapping[int, str], *, stays: bool = False
) -> AsyncIterator[LabMonitor]:
    """What a debugger can ask of the machine while the block runs.

    A machine at a stop of dom0's stays there. Any other goes on afterwards unless it ``stays``.

    Raises:
        BusyError: a debugger has the machine. MachineError: it is gone.
    """
    from lab.debug import dumping, server
    from lab.debug.traveller import STOPS

    dump = dumping.through(session.sockets.control, session.lab)
    machine = _at_stop(session)
    if machine is None:
        async with server.attached(session.lab, stays=stays) as stub:
            yield await server.look(stub, dump, names)
        return
    monitor = await server.look(machine, dump, names)
    stopped = monitor.view.stopped
    places = await stopped.places()
    own = [one.thread for one in places if one.pc in STOPS] or [places[0].thread]
    try:
        yield monitor
    finally:
        await stopped.leave(own[0])


@contextlib.asynccontextmanager
async def lost(session: Session) -> AsyncIterator[LabMonitor]:
    """The same for a machine whose Xen has failed, which stays where it is then.

    The session cannot be used any more.
    """
    from lab.debug import dumping, server

    await session.sockets.close()
    dump = dumping.through(session.sockets.control, session.lab)
    async with server.attached(session.lab, stays=True) as stub:
        yield await server.look(stub, dump, {})


def _at_stop(session: Session) -> Stub | None:
    with contextlib.suppress(MachineError):
        found: Stub = session.at_stop.machine
        return found
    return None
