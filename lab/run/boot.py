"""Brings a lab from off to running guests. It is restored from a template if there is one, else it
boots.

Under the virtual clock a machine always continues from a template, even from the one that its own
boot has just stored. QEMU loses some state when it stores a machine; this way every run loses the
same state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from lab.dom0 import xl
from lab.machine import template
from lab.machine.qemu_command import Memory
from lab.machine.template import Template
from lab.model import Clock, GuestImage, GuestPlan, Plan
from lab.progress import Progress
from lab.run import alone, disturbing, guests, templates, traces
from lab.run.session import Session
from lab.run.start import Start
from lab.util import waiting


async def boot(
    session: Session, start: Start, *, cold: bool = False, stored: Template | None = None
) -> None:
    """From off to guests that run. ``stored``: out of this template.

    ``cold``: really boot; on the host's clock no template is used or stored then.
    """
    plan = start.plan
    if plan.lab.without_dom0:
        await alone.boot(session, start, cold=cold, stored=stored)
        session.run.update_manifest(phases=session.marks)
        return
    virtual = plan.machine.clock is Clock.VIRTUAL
    key = templates.key_with_guests(plan, start.prepared) if virtual or not cold else ""
    storing: list[asyncio.Task[None]] = []
    try:
        if key and not stored and not cold:
            stored = await waiting.in_thread(templates.usable, key, start.progress.say)
        if stored:
            await _restore(session, start, stored)
        else:
            storing += await _to_dom0(session, start, cold=cold, own=bool(key))
        if stored and stored.key == key:
            traces.describe(session.run, plan.lab)
        else:
            await _create_guests(session, start, paused=bool(key))
            if key and stored is None:
                made = await templates.store_with_guests(session, start)
                storing += await _go_on(session, start, made)
        await _let_guests_run(session, plan, start.progress, paused=bool(key))
    except asyncio.CancelledError:
        for one in storing:
            one.cancel()
        raise
    finally:
        await asyncio.gather(*storing, return_exceptions=True)
    session.run.update_manifest(phases=session.marks)


async def _to_dom0(
    session: Session, start: Start, *, cold: bool, own: bool
) -> list[asyncio.Task[None]]:
    """Have dom0 ready, the machine standing still; returns what is still being stored.

    ``own``: with memory of the machine's own, so that it can be stored again with its guests.
    """
    if not cold and (stored := await templates.find_first(start)):
        await _restore(session, start, stored, own=own)
        return []
    if cold and start.plan.machine.clock is Clock.HOST:
        await _boot_dom0(session, start, Memory.ANONYMOUS)
        return []
    await _boot_dom0(session, start, Memory.OWN)
    return await _go_on(session, start, await templates.store_dom0(session, start), own=own)


async def _go_on(
    session: Session, start: Start, made: Template | asyncio.Task[None], *, own: bool = False
) -> list[asyncio.Task[None]]:
    """Continue after a template was made. The machine stands where it was. Returns what is still
    being stored."""
    if isinstance(made, Template):
        await _restore(session, start, made, own=own)
        template.drop(made)
        return []
    return [made]


async def _restore(session: Session, start: Start, stored: Template, *, own: bool = False) -> None:
    await templates.restore(session, start, stored, own=own)
    session.at_stop.traps = session.traps


async def _boot_dom0(session: Session, start: Start, memory: Memory) -> None:
    say = start.progress
    with say.stage("machine"):
        await session.power_on(start, memory=memory)
    with say.stage("Xen"):
        await session.wait_xen()
    with say.stage("dom0"):
        await session.wait_dom0()


async def _create_guests(session: Session, start: Start, *, paused: bool) -> None:
    """Create the guests in a dom0 that is ready. They run unless ``paused``."""
    plan, say = start.plan, start.progress
    if plan.machine.clock is Clock.HOST and not paused:
        await _let_dom0_run(session, plan, say)
    if plan.pool:
        with say.stage("CPU pool"):
            await _obey(session, plan.pool, "make a CPU pool for the guests")
    if plan.dom0_scheduling:
        async with session.dom0() as agent:
            await session.guarded(xl.schedule(agent, "Domain-0", plan.dom0_scheduling))
    if plan.lab.trace or plan.lab.traced or plan.lab.dom0.busy:
        with say.stage("traces"):
            await session.start_traces(plan.lab)
    for number, guest in enumerate(plan.booted, 1):
        with say.stage(f"guest {guest.name}"):
            await _adopt(session, number, guest, start.prepared.guests[guest.name])
    for guest in plan.in_order:
        with say.stage(f"guest {guest.name}") as stage:
            image = start.prepared.guests[guest.name]
            await session.inject(guest, image, stage.note, paused=paused)
    if plan.schedule:  # last: it leaves dom0 only its own windows
        with say.stage("schedule"):
            await _obey(session, [plan.schedule], "set the schedule")
    if paused:
        await session.remember_paused(len(plan.booted))


async def _obey(session: Session, commands: Sequence[Sequence[str]], what: str) -> None:
    """Have dom0 run these commands, which together do ``what``, in words."""
    async with session.dom0() as agent:
        await session.guarded(xl.obey(agent, commands, what))


async def _adopt(session: Session, number: int, guest: GuestPlan, image: GuestImage) -> None:
    """Have the toolstack take over the domain that Xen created, which runs already."""
    async with session.dom0() as agent:
        await session.guarded(guests.adopt(agent, number, guest, image))
    session.mark(f"created {guest.name}")


async def _let_guests_run(session: Session, plan: Plan, say: Progress, *, paused: bool) -> None:
    if paused:
        with say.stage("guests run"):
            if plan.machine.clock is Clock.HOST:
                await session.make_individual(plan.lab.name)
            await disturbing.let_guests_run(session, plan)
            session.run.update_manifest(began=session.began)
            if plan.machine.clock is Clock.HOST:
                await session.let_run()
    session.guests_run()


async def _let_dom0_run(session: Session, plan: Plan, say: Progress) -> None:
    with say.stage("dom0's agent"):
        await session.make_individual(plan.lab.name)
        # The agent answers soonest if the question waits in its port when dom0 begins to run.
        await asyncio.gather(session.wait_agent(), session.let_run())
