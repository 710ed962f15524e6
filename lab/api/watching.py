"""Watches a lab that was brought up, and lets its machine stand when something in it crashes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from lab import scenario
from lab.api.context import Context, attached
from lab.api.debugging import toolchain_of
from lab.api.plans import make_plan
from lab.api.results import Up
from lab.debug.symbols import XEN
from lab.errors import GuestCrashed, HypervisorError, LabError, MachineError
from lab.machine import qmp
from lab.machine.guest_health import Health
from lab.machine.watcher import Watcher
from lab.model import ExitStatus, guest_names
from lab.run import crash_cores, live, stands
from lab.run.crash_cores import CoreWords
from lab.run.live import Live
from lab.toolchain import adopt
from lab.util import signals
from lab.util.terminal import paragraphs


@dataclass(frozen=True)
class Stood:
    """What made a lab stand.

    Attributes:
        why: ``guest hello crashed``; empty: the lab was stopped before anything crashed.
        tail: the last lines of the console concerned, and the backtrace of the core file.
    """

    why: str = ""
    tail: str = ""
    exit_status: ExitStatus = ExitStatus.PASS


def until_it_stands(context: Context, up: Up) -> Stood:
    """Wait until a guest or Xen crashes, and let the machine stand then. It leaves a core file.

    ``up``: the lab that came up. If we are interrupted, it goes on.

    Raises:
        LabError: dom0 or QEMU failed; there is nothing to look at then.
    """
    found = live.running(context.lab_dir(up.name), up.name)
    may_crash = scenario.tolerated(make_plan(context, up.name, first=True).lab)
    names = guest_names(up.domains)
    return signals.run(_watch(context, found, Health(found.run, may_crash), names))


async def _watch(context: Context, found: Live, health: Health, names: dict[int, str]) -> Stood:
    assert found.record
    watcher = Watcher(found.run, lambda: None, found.lab.tag)
    watcher.step = "something to crash"
    watcher.begin(adopt(found.record), live.ram_file(found.lab))
    try:
        await watcher.guarded(health.guarded(asyncio.Event().wait()))
    except GuestCrashed as error:
        guest = next(iter(health.crashed))
        return await _stand(context, found, error, guest, names)
    except HypervisorError as error:
        return await _stand(context, found, error, XEN, names)
    except MachineError:
        state = found.lab.state()
        if state is None or state.get("ending"):
            return Stood()
        raise
    finally:
        health.close()
        await watcher.stop()
    raise AssertionError("an event that nobody sets")


async def _stand(
    context: Context, found: Live, error: LabError, what: str, names: dict[int, str]
) -> Stood:
    """Stop the machine, record that it stands, and keep the core file."""
    xen = what == XEN
    why = "Xen panicked" if xen else f"guest {what} crashed"
    if not xen and what not in names.values():  # created since, and dom0 still runs
        with contextlib.suppress(LabError):
            async with attached(found) as session:
                names = guest_names(await session.domains())
    async with qmp.connected(found.lab.qmp_socket) as control:
        await control.execute("stop")
    stands.note(found.lab, why, names)
    async with attached(found) as session:
        if xen:
            await crash_cores.keep_xen(session)
        else:
            await crash_cores.keep(session, [what], names, stays=True)
    tail = paragraphs(error.tail, _words(context, found, what))
    return Stood(why, tail, error.exit_status)


async def keep_core(context: Context, found: Live, guest: str) -> str:
    """Keep the core file of a guest that crashed in a lab that goes on.

    Returns its backtrace, and how to open it; empty if there is none.
    """
    with contextlib.suppress(LabError):
        async with attached(found) as session:
            names = guest_names(await session.domains())
            await crash_cores.keep(session, [guest], names)
        return _words(context, found, guest)
    return ""


def _words(context: Context, found: Live, what: str) -> str:
    with contextlib.suppress(LabError):
        return CoreWords(found.run, toolchain_of(context), context.file).of(what)
    return ""
