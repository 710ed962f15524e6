"""From off to dom0 ready: out of a template where there is one, else by booting.

Under the virtual clock a machine always goes on from a template, also from the one that its
own boot has just made: what QEMU loses when it stores a machine is then lost in every run.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.dom0.steps import ENTROPY
from lab.errors import MachineError
from lab.machine import command, template
from lab.machine.command import Memory
from lab.machine.template import Damaged, Template
from lab.model import Clock, Plan
from lab.progress import Progress
from lab.run import fingerprint, live
from lab.run.session import Session
from lab.store import cache_root
from lab.util import files, waiting
from lab.workshop.prepare import Prepared


def root() -> Path:
    """Where templates are kept."""
    return cache_root() / "templates"


def parts_of(plan: Plan, prepared: Prepared) -> dict[str, str]:
    """What a plan's booted machine follows from."""
    argv = command.qemu(plan, "")
    return fingerprint.machine(argv, prepared.images, prepared.toolchain.key)


def parts_of_run(plan: Plan, prepared: Prepared) -> dict[str, str]:
    """What a plan's run follows from."""
    argv = command.qemu(plan, "")
    return fingerprint.run(
        argv, prepared.images, prepared.toolchain.key, plan, prepared.guests
    )  # fmt: skip


def usable(key: str, say: Callable[[str], None]) -> Template | None:
    """The template of this key, every byte of it compared; a damaged one is set aside."""
    try:
        found = template.find(root(), key)
        if found:
            template.verify(found)
        return found
    except Damaged as error:
        aside = template.set_aside(root(), key)
        say(f"{error.message}: set aside in {aside}; the lab boots cold")
        return None


async def to_dom0(
    session: Session,
    plan: Plan,
    prepared: Prepared,
    lock: int,
    say: Progress,
    *,
    cold: bool,
    own: bool = False,
) -> asyncio.Task[None] | None:
    """Have dom0 ready, the machine standing still; what is still being stored, if anything.

    ``cold``: really boot it; on the host's clock it is not stored either. ``own``: with memory
    of its own, so that it can be stored again when it has guests.
    """
    if not storable(plan):
        await _boot(session, plan, prepared, lock, say, Memory.ANONYMOUS)
        return None
    parts = parts_of(plan, prepared)
    key = fingerprint.key(parts)
    if not cold:
        with say.stage("template") as stage:
            stored = await waiting.in_thread(usable, key, say.say)
            stage.note(f"{key[:12]}" if stored else "none yet")
        if stored:
            await restore(session, plan, prepared, lock, say, stored, own=own)
            return None
    if cold and plan.machine.clock is Clock.HOST:
        await _boot(session, plan, prepared, lock, say, Memory.ANONYMOUS)
        return None
    await _boot(session, plan, prepared, lock, say, Memory.OWN)
    async with session.listening():
        frozen = await _freeze(session, plan)
    about = {
        "lab": plan.lab.name, "clock": plan.machine.clock, "made of": parts,
        "listening": plan.machine.clock is Clock.HOST,
    }  # fmt: skip
    if plan.machine.clock is Clock.HOST:
        return asyncio.create_task(_store_meanwhile(frozen, key, session, about, say))
    stored = await _store_at_once(session, key, frozen, about, say)
    await restore(session, plan, prepared, lock, say, stored, own=own)
    return None


def storable(plan: Plan) -> bool:
    """Whether the machine can be stored with all that runs in it when dom0 is ready.

    QEMU 10 does not store Xen's timers (CNTHP). lab-steps has Xen set that of dom0's processor
    anew; that of another one, on which a guest waits that Xen booted, nobody would.
    """
    return plan.machine.cpus == 1 or not plan.booted


def with_guests(plan: Plan, prepared: Prepared) -> str:
    """The key of the machine with all its guests created; empty if that is not stored.

    Its traces have begun then, and what they had so far is stored too. A busy dom0 is not.
    """
    lab = plan.lab
    if lab.dom0.busy or not plan.guests or not storable(plan):
        return ""
    parts = parts_of_run(plan, prepared)
    shares = [plan.dom0_scheduling, *((one.name, one.scheduling) for one in plan.guests)]
    traced = [lab.trace.mask if lab.trace else None, *lab.traced]
    return fingerprint.key(parts | {"labs.yaml": files.sha256_json([shares, traced])})


async def store_with_guests(
    session: Session, plan: Plan, prepared: Prepared, lock: int, say: Progress
) -> asyncio.Task[None] | None:
    """Store the machine, whose guests were created and are paused.

    On the host's clock the machine can go on meanwhile. Under the virtual clock it goes on from
    what was stored.
    """
    frozen = await _freeze(session, plan)
    about = {
        "lab": plan.lab.name, "clock": plan.machine.clock, "made of": parts_of_run(plan, prepared),
        "paused": session.paused,
    }  # fmt: skip
    key = with_guests(plan, prepared)
    if plan.machine.clock is Clock.HOST:
        return asyncio.create_task(_store_meanwhile(frozen, key, session, about, say))
    stored = await _store_at_once(session, key, frozen, about, say)
    await restore(session, plan, prepared, lock, say, stored)
    return None


async def make_individual(session: Session, name: str) -> None:
    """Have dom0 differ from all others of its template: entropy, name, identity."""
    assert session.steps is not None
    await session.steps.differ(os.urandom(ENTROPY), name, secrets.token_hex(16))


async def restore(
    session: Session,
    plan: Plan,
    prepared: Prepared,
    lock: int,
    say: Progress,
    stored: Template,
    *,
    own: bool = False,
) -> None:
    """Have the machine stand where ``stored`` was stored, which must have been verified."""
    with say.stage("restore") as stage:
        ram = live.ram_file(session.lab)
        toolchain, images = prepared.toolchain, prepared.images
        if own:
            ram.parent.mkdir(parents=True, exist_ok=True)
            await waiting.in_thread(template.copy_sparse, stored.ram, ram)
        kind = Memory.OWN if own else Memory.TEMPLATE
        await session.power_on(toolchain, plan, images, ram, lock, stored, kind)
        template.used(stored)
        session.paused = [int(one) for one in stored.about.get("paused", ())]
        stage.note(f"from template {stored.key[:12]}")
    session.run.update_manifest(template=stored.key)


async def _boot(
    session: Session, plan: Plan, prepared: Prepared, lock: int, say: Progress, memory: Memory
) -> None:
    ram = live.ram_file(session.lab)
    toolchain, images = prepared.toolchain, prepared.images
    with say.stage("machine"):
        await session.power_on(toolchain, plan, images, ram, lock, memory=memory)
    with say.stage("Xen"):
        await session.wait_xen()
    with say.stage("dom0"):
        await session.wait_dom0()


async def _freeze(session: Session, plan: Plan) -> dict[str, Path]:
    """What a template is made of, as files of their own, while the machine stands still."""
    folder = Path(tempfile.mkdtemp(prefix="frozen-", dir=session.lab.path))
    state = await session.store_state()
    parts = {template.STATE: state.rename(folder / state.name)}
    said = [("console", path) for path in sorted(session.run.console_dir.iterdir())]
    traces = sorted(file for _, file in command.trace_ports(plan.lab).values())
    said += [("trace", session.run.trace_dir / file) for file in traces]
    for what, path in said:
        parts[f"{what}/{path.name}"] = folder / f"{what}-{path.name}"
        shutil.copyfile(path, folder / f"{what}-{path.name}")
    ram = live.ram_file(session.lab)
    if plan.machine.clock is Clock.HOST:
        copy = ram.with_name(f"{ram.name}.{folder.name}")
        with contextlib.suppress(OSError):  # no room: then there will be no template
            await waiting.in_thread(template.copy_sparse, ram, copy)
        ram = copy
    return parts | {template.RAM: ram}


async def _store_at_once(
    session: Session,
    key: str,
    frozen: dict[str, Path],
    about: Mapping[str, object],
    say: Progress,
) -> Template:
    """End the machine and store it; the next one goes on from there."""
    stops = session.steps.count if session.steps else 0
    await session.power_off()
    with say.stage("template") as stage:
        try:
            stored = await waiting.in_thread(template.store, root(), key, frozen, stops, about)
        except OSError as error:
            raise MachineError(
                f"the template of the lab cannot be stored: {error.strerror}",
                hint="make room; under the virtual clock every run goes on from one",
            ) from error
        stage.note("stored")
    return stored


async def _store_meanwhile(
    frozen: dict[str, Path], key: str, session: Session, about: Mapping[str, object], say: Progress
) -> None:
    stops = session.steps.count if session.steps else 0
    try:
        await waiting.in_thread(template.store, root(), key, frozen, stops, about)
    except OSError as error:
        say.say(f"no template is stored: {error.strerror}")
    finally:
        for path in frozen.values():
            path.unlink(missing_ok=True)
