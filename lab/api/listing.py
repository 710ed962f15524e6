"""The status of labs. All labs are asked at the same time."""

from __future__ import annotations

import asyncio
import re

from lab import config, rundir
from lab.api import other_sessions
from lab.api.context import Context, attached, clean
from lab.api.lives import here, is_of
from lab.api.results import LabStatus
from lab.config.arch import too_wide
from lab.errors import LabError, MachineError
from lab.machine import qemu_process
from lab.model import Domain, Lab, State
from lab.run import claim, live, stands
from lab.run.live import Live
from lab.rundir import LabDir
from lab.toolchain import adopt
from lab.util import refusals, signals, waiting

#: Seconds that a machine may take to end after it was killed.
DYING = 1.0


def status(context: Context, name: str | None = None) -> list[LabStatus]:
    """The lab ``name``, or all labs of this user that run or are being prepared. A lab comes as
    often as it lives: several runs of it may be under way.

    First come the labs of this labs.yaml, then those of others, then those of other sessions;
    each group in the order of names. If a dom0 does not answer, its lab has a ``problem``. Labs of
    other sessions are not asked.

    Raises:
        LabError: dom0 of the lab ``name`` does not answer.
    """
    clean(context)
    if name is not None:
        lives = [lab for each, lab in here(context) if each == name]
        return [_one(context, lab, name) for lab in lives or [context.lab_dir(name)]]
    dirs = live.of_session()
    found = signals.run(_ask_all(context, dirs))
    return sorted([*found, *other_sessions.statuses(context)], key=_order)


def list_labs(context: Context) -> list[LabStatus]:
    """The labs of labs.yaml, with their state."""
    clean(context)
    lives = dict(reversed(here(context)))  # the first one of each name
    return [
        _listed(lab, lives.get(name, context.lab_dir(name)))
        for name, lab in context.labs().labs.items()
    ]


def name_order(name: str) -> list[tuple[int, str]]:
    """A key for sorting names, by which ``hello-2`` comes before ``hello-10``."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", name)]


def _one(context: Context, lab: LabDir, name: str) -> LabStatus:
    found = live.find(lab)
    if found:
        return signals.run(_ask(context, found, qemu_process.machines()))
    if command := claim.maker(lab):
        return LabStatus(name, State.OFF, preparing=str(command))
    last = rundir.latest_run(context.runs, name)
    if last is None:
        config.find_lab(context.labs(), name)
    problem = other_sessions.where_else(context, name)
    return LabStatus(name, State.OFF, run=last.path if last else None, problem=problem)


async def _ask_all(context: Context, dirs: list[LabDir]) -> list[LabStatus]:
    machines = qemu_process.machines()
    return await asyncio.gather(*(_any(context, lab, machines) for lab in dirs))


async def _any(context: Context, lab: LabDir, machines: dict[str, int]) -> LabStatus:
    found = live.find(lab)
    if found is None:
        command = claim.maker(lab)
        name = command.name if command and command.name else lab.id
        return LabStatus(name, State.OFF, preparing=str(command or claim.ENDED))
    try:
        return await _ask(context, found, machines)
    except LabError as error:
        words = error.message + (f"; {error.hint}" if isinstance(error, MachineError) else "")
        return _told(context, found, [], words)


async def _ask(context: Context, found: Live, machines: dict[str, int]) -> LabStatus:
    """``machines``: the QEMU processes of all labs, by tag.

    Raises:
        LabError: dom0 does not answer; why, if it is known.
    """
    try:
        return await _answer(context, found, machines)
    except LabError as error:
        ended = waiting.in_thread(adopt(found.record).wait, DYING) if found.record else None
        if ended and await ended:
            raise MachineError(
                "QEMU ended by itself", hint="lab.logs and the run's qemu.log may say why"
            ) from error
        raise


async def _answer(context: Context, found: Live, machines: dict[str, int]) -> LabStatus:
    pid = machines.get(found.lab.tag)
    if pid and (why := qemu_process.stopped(pid)):
        raise why
    domains: list[Domain] = []
    if found.running and not found.still and not stands.why(found.lab):
        async with attached(found) as session:
            domains = await session.domains()
    return _told(context, found, domains, "")


def _told(context: Context, found: Live, domains: list[Domain], problem: str) -> LabStatus:
    command = claim.maker(found.lab)
    mine = is_of(context, found.lab, found.name, found.run.path)
    return LabStatus(
        found.name, found.state, found.uptime, found.run.path, domains, list(found.guests),
        found.description, problem, found.running,
        preparing="" if found.running else str(command or claim.ENDED),
        where="" if mine else str(found.run.path.parent.parent.parent),
        reach="" if mine else other_sessions.command(context, found),
        arch=found.arch.xen, stands=stands.why(found.lab),
    )  # fmt: skip


def _listed(lab: Lab, folder: LabDir) -> LabStatus:
    found, command = live.find(folder), claim.maker(folder)
    up = found is not None and found.running
    guests = (*lab.guests, *lab.later)
    refused = [one for guest in guests for one in guest.refused] or too_wide(guests, lab.arch)
    return LabStatus(
        lab.name,
        found.state if found else State.OFF,
        run=found.run.path if found else None,
        guests=[guest.name for guest in lab.guests],
        description=lab.description,
        problem=str(refusals.refusal(refused)) if refused else "",
        running=up,
        preparing=str(command) if command and not up else "",
        arch=(found.arch if found else lab.arch).xen,
        stands=stands.why(folder) if up else "",
    )


def _order(one: LabStatus) -> tuple[bool, str, list[tuple[int, str]]]:
    return one.elsewhere, one.where, name_order(one.name)
