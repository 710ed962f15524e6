"""The templates of a lab: under which key each is stored, and how a machine becomes one.

A lab has up to two templates: one with dom0 ready, and one with all its guests created and
paused. A lab without dom0 has one; :mod:`lab.run.alone` says when it is stored.
:mod:`lab.machine.template` has their files.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab.errors import MachineError
from lab.machine import device_state, qemu_command, sparse_files, template
from lab.machine.qemu_command import Memory
from lab.machine.template import Damaged, Template
from lab.model import Clock, Plan
from lab.progress import Progress
from lab.run import fingerprint, live
from lab.run.session import Session
from lab.run.start import Start
from lab.store import cache_root
from lab.util import files, private, waiting
from lab.workshop.prepare import Prepared

#: How often a template is looked at that changes meanwhile.
LOOKS = 3


def root() -> Path:
    """The folder of all templates."""
    return cache_root() / "templates"


def key_of_dom0(plan: Plan, prepared: Prepared) -> str:
    """The key of the machine with dom0 ready and no guest, besides those that Xen boots.

    That of a machine without dom0, too.
    """
    return fingerprint.key(fingerprint.of_machine(plan, prepared) | _names(plan))


def _names(plan: Plan) -> dict[str, str]:
    """Guests that Xen boots have logs of their own from the start, with their names."""
    names = [guest.name for guest in plan.booted]
    return {"names": files.sha256_json(names)} if names else {}


def key_with_guests(plan: Plan, prepared: Prepared) -> str:
    """The key of the machine with all its guests created; empty if that is not stored.

    Its traces have begun by then, and what they recorded so far is stored too. A machine whose
    dom0 is kept busy is not stored.
    """
    lab = plan.lab
    if lab.dom0.busy or not plan.guests:
        return ""
    parts = fingerprint.of_guests(plan, prepared)
    guests = (*plan.booted, *plan.in_order)
    shares = [plan.dom0_scheduling, *((one.name, one.scheduling) for one in guests)]
    traced = [lab.trace.mask if lab.trace else None, *lab.traced]
    wanted = [shares, traced, *([plan.pool, plan.schedule] if plan.schedule else [])]
    return fingerprint.key(parts | {"labs.yaml": files.sha256_json(wanted)})


def there(key: str) -> bool:
    """Whether there is a template of this key, which may be damaged."""
    return (root() / key / template.MANIFEST).is_file()


def usable(key: str, say: Callable[[str], None]) -> Template | None:
    """The template of this key, every byte of it compared; a damaged one is set aside.

    It counts as used from now on, so that others who make room do not remove it before it is. If
    others make it anew while it is compared, the new one is taken.
    """
    for _ in range(LOOKS):
        try:
            found = template.find(root(), key)
            if found:
                private.folder(root())  # an older version let others in
                found = template.held(found)
                template.used(found)
                template.verify(found)
            return found
        except Damaged as error:
            if aside := template.set_aside_damaged(root(), key):
                say(f"{error.message}: set aside in {aside}; the lab boots cold")
                return None
    return None


def newest_stage(plan: Plan, prepared: Prepared, say: Callable[[str], None]) -> Template | None:
    """The usable template that is furthest along: with all guests, else with dom0 alone."""
    with_guests = "" if plan.lab.without_dom0 else key_with_guests(plan, prepared)
    keys = with_guests, key_of_dom0(plan, prepared)
    return next((one for key in keys if key and (one := usable(key, say))), None)


async def find_first(start: Start) -> Template | None:
    """The usable template of the machine with dom0 ready, or without dom0."""
    key = key_of_dom0(start.plan, start.prepared)
    with start.progress.stage("template") as stage:
        found = await waiting.in_thread(usable, key, start.progress.say)
        stage.note(f"{key[:12]}" if found else "none yet")
    return found


async def restore(session: Session, start: Start, stored: Template, *, own: bool = False) -> None:
    """Restore the machine from ``stored``, which must have been verified. It stands still
    afterwards. ``own``: with memory of its own, so that it can be stored again."""
    with start.progress.stage("restore") as stage:
        if own:
            ram = live.ram_file(session.lab)
            private.folder(ram.parent)
            await waiting.in_thread(sparse_files.copy, stored.ram, ram)
        await session.power_on(start, stored, Memory.OWN if own else Memory.TEMPLATE)
        if start.recording and not start.recording.replays:
            start.recording.changes.clear()
            session.at_stop.note(start.recording.changes)
        template.used(stored)
        stage.note(f"from template {stored.key[:12]}")
    session.run.update_manifest(template=stored.key)


async def store_dom0(session: Session, start: Start) -> Template | asyncio.Task[None]:
    """Store the machine, whose dom0 is ready; see :func:`_store`."""
    plan = start.plan
    about = {
        "made of": fingerprint.of_machine(plan, start.prepared),
        "listening": plan.machine.clock is Clock.HOST,
    }
    async with session.listening():
        frozen = await _freeze(session, plan)
    return await _store(session, start, key_of_dom0(plan, start.prepared), frozen, about)


async def store_with_guests(session: Session, start: Start) -> Template | asyncio.Task[None]:
    """Store the machine, whose guests were created and are paused; see :func:`_store`."""
    plan = start.plan
    about = {
        "made of": fingerprint.of_run(plan, start.prepared),
        "paused": session.paused,
    }
    frozen = await _freeze(session, plan)
    return await _store(session, start, key_with_guests(plan, start.prepared), frozen, about)


async def store_alone(session: Session, start: Start, *, booted: bool) -> asyncio.Task[None]:
    """Store a machine without dom0, which stands still, while it continues.

    ``booted``: Xen has created its guests.

    Raises:
        MachineError: QEMU cannot store it, or not in a form that we know.
    """
    plan = start.plan
    about = {
        **_shown(plan),
        "made of": fingerprint.of_machine(plan, start.prepared),
        **({"paused": []} if booted else {}),
    }
    frozen = await _freeze(session, plan)
    key = key_of_dom0(plan, start.prepared)
    return asyncio.create_task(_store_meanwhile(key, frozen, 0, about, start.progress))


def _shown(plan: Plan) -> dict[str, Any]:
    """What a list of templates says of the machine."""
    return {"lab": plan.lab.name, "arch": plan.machine.arch.xen, "clock": plan.machine.clock}


async def _store(
    session: Session, start: Start, key: str, frozen: dict[str, Path], about: Mapping[str, Any]
) -> Template | asyncio.Task[None]:
    """Store the machine. On the host's clock this is a task, which stores while the machine
    continues. Under the virtual clock the machine ends, and the caller continues from the template.
    """
    plan = start.plan
    about = {**_shown(plan), **about}
    stops = session.at_stop.count
    if plan.machine.clock is Clock.HOST:
        return asyncio.create_task(_store_meanwhile(key, frozen, stops, about, start.progress))
    await session.power_off()
    with start.progress.stage("template") as stage:
        try:
            stored = await waiting.in_thread(template.store, root(), key, frozen, stops, about)
        except OSError as error:
            raise MachineError(
                f"the template of the lab cannot be stored: {error.strerror}",
                hint="make room; under the virtual clock every run goes on from a template",
            ) from error
        stage.note("stored")
    return stored


async def _store_meanwhile(
    key: str, frozen: dict[str, Path], stops: int, about: Mapping[str, object], say: Progress
) -> None:
    try:
        stored = await waiting.in_thread(template.store, root(), key, frozen, stops, about)
        template.drop(stored)
    except OSError as error:
        say.say(f"no template is stored: {error.strerror}")
    finally:
        for path in frozen.values():
            path.unlink(missing_ok=True)


def _waits(plan: Plan) -> bool:
    """Whether a CPU may wait for Xen's timer when the machine is stored, and nobody sets it anew
    after a restore. lab-steps does so on dom0's CPU."""
    if plan.lab.without_dom0:
        return plan.machine.clock is Clock.HOST  # else no CPU has run yet
    return bool(plan.booted) and plan.machine.cpus > 1


async def _freeze(session: Session, plan: Plan) -> dict[str, Path]:
    """Make the parts of a template, as separate files. The machine stands still meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="frozen-", dir=session.lab.path))
    state = await session.store_state()
    if _waits(plan):
        device_state.expire_in(state)
    parts = {template.STATE: state.rename(folder / state.name)}
    said = [("console", path) for path in sorted(session.run.console_dir.iterdir())]
    traces = sorted(file for _, file in qemu_command.trace_ports(plan.lab).values())
    said += [("trace", session.run.trace_dir / file) for file in traces]
    for what, path in said:
        parts[f"{what}/{path.name}"] = folder / f"{what}-{path.name}"
        shutil.copyfile(path, folder / f"{what}-{path.name}")
    ram = live.ram_file(session.lab)
    if plan.machine.clock is Clock.HOST or plan.lab.without_dom0:  # the machine continues
        copy = ram.with_name(f"{ram.name}.{folder.name}")
        with contextlib.suppress(OSError):  # no room: then no template is stored
            await waiting.in_thread(sparse_files.copy, ram, copy)
        ram = copy
    return parts | {template.RAM: ram}
