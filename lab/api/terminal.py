"""Connects a person's terminal to a console of a running lab."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial

from lab.api.context import Context, attached
from lab.api.other_sessions import running
from lab.errors import LabError, UsageError
from lab.machine import interactive, shared_console, shared_input
from lab.machine.guest_ends import EndWatch, of
from lab.machine.interactive import Behind
from lab.model import Clock
from lab.run import window_size
from lab.run.live import Live
from lab.toolchain import adopt
from lab.util import signals


def console(context: Context, name: str, on: str | None) -> None:
    """Connect a person's terminal to a console, until they leave.

    Under the virtual clock only what is typed reaches the lab. Otherwise the run would depend on
    who looks at it.

    Raises:
        UsageError: the lab does not run, or has no such console.
    """
    found = running(context, name)
    known = list(found.run.consoles())
    chosen = on or next((one for one in known if one not in ("xen", "dom0")), "dom0")
    if chosen not in known:
        raise UsageError(f"lab {name} has no console {chosen}", hint=f"one of: {', '.join(known)}")
    if found.record is None:
        raise UsageError(f"lab {name} has no record of its machine")
    log = found.run.console(chosen)
    taken = None
    if shared_console.carries(log):
        taken = partial(shared_input.type_into, found.lab, found.run.console_dir, chosen)
    with contextlib.closing(EndWatch(found.run, chosen, _ended(found, chosen))) as ends:
        behind = replace(_behind(found, chosen, ends), typed=taken)
        interactive.attach(chosen, found.lab.path, log, adopt(found.record), behind)


def _ended(found: Live, chosen: str) -> str:
    """How a guest ended. Empty if it runs, if another guest has taken its place, or if nobody
    knows."""

    async def note() -> str:
        async with attached(found) as session:
            domains = await session.domains()
        return next((one.note for one in domains if one.name == chosen), "")

    with contextlib.suppress(LabError):
        return signals.run(note()) if chosen in of(found.run) else ""
    return ""


def _behind(found: Live, chosen: str, ends: EndWatch) -> Behind:
    if found.run.manifest().get("clock") == Clock.VIRTUAL:
        return Behind(answers=False, ends=ends)
    fitting = partial(window_size.tell, found) if chosen == "dom0" else None
    return Behind(resized=fitting, ends=ends)
