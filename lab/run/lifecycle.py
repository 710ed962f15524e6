"""A run from its folder to its end: what is recorded, and that nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from lab import __version__, rundir
from lab.dom0 import xl
from lab.errors import LabError
from lab.machine import quota
from lab.machine.template import Template
from lab.model import Clock, GuestImage, Image, Images, Lab, Plan
from lab.progress import Progress
from lab.run import alone, booting, claim, guests, live, traces
from lab.run.session import Session
from lab.rundir import LabDir, RunDir
from lab.util import files, signals, waiting
from lab.workshop.prepare import Prepared


@contextlib.contextmanager
def starting(
    plan: Plan, prepared: Prepared, lab: LabDir, run: RunDir, *, kept: bool
) -> Iterator[None]:
    """Record the intent, then let the block start the machine; if it fails, all is undone.

    ``kept`` says whether the machine outlives the block.
    """
    run.update_manifest(**first_manifest(plan, prepared), life=rundir.RUNNING)
    keep_symbols(run, prepared.images)
    for image in prepared.guests.values():
        keep_elf(run, image)
    try:
        lab.make()
        live.record_intent(lab, plan, run, prepared.toolchain.door, kept=kept)
        yield
    except BaseException as error:
        by = claim.interrupter(lab)
        words = error.message if isinstance(error, LabError) else "interrupted"
        words += f" by {by}" if by and words == "interrupted" else ""
        layer = error.layer if isinstance(error, LabError) else None
        how = rundir.FINISHED if isinstance(error, LabError) else rundir.INTERRUPTED
        stop(lab, how, verdict="error", layer=layer, reason=words)
        raise
    if not kept:
        stop(lab, rundir.FINISHED)


def stop(lab: LabDir, how: str, **manifest: Any) -> None:
    """End the machine of a lab, whatever its state, and complete its run's manifest."""
    with signals.held_back():
        found = live.find(lab)
        if found is not None:
            live.end(found, how, ended=time.time(), **manifest)
            traces.conclude(found.run)
            _say_what_is_lost(found.run)
        live.forget(lab)


def _say_what_is_lost(run: RunDir) -> None:
    """What a console said beyond what its file may hold, in bytes, in the run's manifest."""
    with contextlib.suppress(OSError):
        if lost := quota.lost(run):
            run.update_manifest(lost=lost)


async def boot(
    session: Session,
    plan: Plan,
    prepared: Prepared,
    lock: int,
    say: Progress,
    *,
    cold: bool = False,
    stored: Template | None = None,
) -> None:
    """From off to guests that run. ``stored``: out of this template.

    ``cold``: really booted; on the host's clock no template is used or made.
    """
    if plan.lab.without_dom0:
        await alone.boot(session, plan, prepared, lock, say)
        session.run.update_manifest(phases=session.marks)
        return
    how = session, plan, prepared, lock, say
    virtual = plan.machine.clock is Clock.VIRTUAL
    key = booting.with_guests(plan, prepared) if virtual or not cold else ""
    storing: list[asyncio.Task[None] | None] = []
    try:
        if key and not stored and not cold:
            stored = await waiting.in_thread(booting.usable, key, say.say)
        if stored:
            await booting.restore(*how, stored)
        else:
            storing.append(await booting.to_dom0(*how, cold=cold, own=bool(key)))
        if stored and stored.key == key:
            traces.describe(session.run, plan.lab)
        else:
            await _make_guests(session, plan, prepared, say, paused=bool(key))
            if key and stored is None:
                storing.append(await booting.store_with_guests(*how))
        await _let_guests_run(session, plan, say, paused=bool(key))
    except asyncio.CancelledError:
        for one in filter(None, storing):
            one.cancel()
        raise
    finally:
        await asyncio.gather(*filter(None, storing), return_exceptions=True)
    session.run.update_manifest(phases=session.marks)


async def _make_guests(
    session: Session, plan: Plan, prepared: Prepared, say: Progress, *, paused: bool
) -> None:
    """From dom0 ready to guests that were created, and run unless ``paused``."""
    if plan.machine.clock is Clock.HOST and not paused:
        await _let_dom0_run(session, plan, say)
    if plan.dom0_scheduling:
        async with session.dom0() as agent:
            await session.guarded(xl.schedule(agent, "Domain-0", plan.dom0_scheduling))
    if plan.lab.trace or plan.lab.traced or plan.lab.dom0.busy:
        with say.stage("traces"):
            await session.start_traces(plan.lab)
    for number, guest in enumerate(plan.booted, 1):
        with say.stage(f"guest {guest.name}"):
            image = prepared.guests[guest.name]
            async with session.dom0() as agent:
                await session.guarded(guests.adopt(agent, number, guest, image))
            session.mark(f"created {guest.name}")
    for guest in plan.guests:
        if guest.spec.by_xen:
            continue
        with say.stage(f"guest {guest.name}") as stage:
            image = prepared.guests[guest.name]
            await session.inject(guest, image, stage.note, paused=paused)
    if paused:
        running = range(len(plan.booted) + 1)
        session.paused = [one.id for one in await session.domains() if one.id not in running]


async def _let_guests_run(session: Session, plan: Plan, say: Progress, *, paused: bool) -> None:
    if paused:
        with say.stage("guests run"):
            if plan.machine.clock is Clock.HOST:
                await booting.make_individual(session, plan.lab.name)
            await session.unpause()
            session.run.update_manifest(began=session.began)
            if plan.machine.clock is Clock.HOST:
                await session.let_run()
    session.guests_run()


async def _let_dom0_run(session: Session, plan: Plan, say: Progress) -> None:
    with say.stage("dom0's agent"):
        await booting.make_individual(session, plan.lab.name)
        # The question waits in the agent's port when dom0 begins to run: that is soonest.
        await asyncio.gather(session.wait_agent(), session.let_run())


async def collect(session: Session, lab: Lab, say: Progress) -> None:
    """End the traces of a lab's guests; what dom0 cannot end any more is cut off, no more."""
    if not (lab.trace or lab.traced):
        return
    with say.stage("collecting traces"):
        try:
            await session.stop_traces()
        except LabError as error:
            session.run.event("traces cut off", reason=error.message)


def collect_late(found: live.Live) -> None:
    """The same for a lab that another command started."""
    if not (found.run.trace_dir / "log").exists():
        return

    async def go() -> None:
        async with Session(found.lab, found.run, found.state) as session:
            await session.stop_traces()

    try:
        signals.run(go())
    except LabError as error:
        found.run.event("traces cut off", reason=error.message)


def first_manifest(plan: Plan, prepared: Prepared) -> dict[str, Any]:
    """What is known of a run before its machine starts."""
    images = prepared.images
    info = prepared.toolchain.info()
    return {
        "format": 1,
        "xenlab": __version__,
        "lab": plan.lab.name,
        "hypervisor": plan.lab.hypervisor.name,
        "clock": plan.machine.clock,
        "started": time.time(),
        "verdict": None,
        "toolchain": {"door": info.door, "key": info.key, "versions": dict(info.versions)},
        "lock": asdict(prepared.lock),
        "images": {
            **{name: _digest(image) for name, image in images.parts().items()},
            **({"xen-syms": _digest(images.symbols)} if images.symbols else {}),
        },
        "guests": {name: _guest(image) for name, image in prepared.guests.items()},
        "fingerprint": booting.parts_of_run(plan, prepared),
        "xen_args": plan.xen_args,
        "dom0_args": plan.dom0_args,
    }


def keep_elf(run: RunDir, guest: GuestImage) -> None:
    """A copy of the guest's ELF file for debuggers, whatever becomes of the store."""
    if guest.elf:
        files.copy_file(guest.elf.path, run.guest_dir / f"{guest.name}.elf")


def keep_symbols(run: RunDir, images: Images) -> None:
    """A copy of Xen's symbols, if there are any: for debuggers, and for the run's logs."""
    if images.symbols:
        files.copy_file(images.symbols.path, run.symbols_file)


def _digest(image: Image) -> dict[str, Any]:
    return {"sha256": image.sha256, "size": image.size, "key": image.key}


def _guest(guest: GuestImage) -> dict[str, Any]:
    return {name: _digest(image) for name, image in guest.parts().items()}
