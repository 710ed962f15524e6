"""Live labs: which command holds one, and what earlier commands left behind.

The claim on a lab is an flock(2) that QEMU inherits. It is held exactly as long as a command
prepares the lab or its machine lives, however they end. A machine in a container cannot inherit it,
and locks a second file, the claim's twin. If a lab is recorded and nobody has its claim, the record
is stale, and the next command of the same user cleans up.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import rundir
from lab.errors import BusyError, UsageError
from lab.machine import postmortem
from lab.model import Architecture, Clock, Domain, Door, ProgramRecord, State, architecture
from lab.progress import Progress
from lab.run import claim
from lab.rundir import LabDir, RunDir
from lab.toolchain import programs_of
from lab.util import files, turns
from lab.util.cache_folder import cache_root

if TYPE_CHECKING:
    from lab.model import Plan

#: Seconds that a machine may take to end after it was killed.
GONE = 10.0
#: Seconds to wait while another command cleans up.
SWEPT = 60.0


@dataclass(frozen=True)
class Live:
    """A lab that is being started or runs.

    Attributes:
        kept: whether its machine outlives the command that started it.
        still: whether it runs under the virtual clock, so that nothing from outside may disturb
            it.
        guests: the guests that it was started with.
    """

    name: str
    lab: LabDir
    run: RunDir
    state: State
    record: ProgramRecord | None
    door: str
    kept: bool
    still: bool = False
    guests: tuple[str, ...] = ()
    description: str = ""

    @property
    def running(self) -> bool:
        """Whether it came up: its guests were created."""
        return self.state is State.GUESTS

    @property
    def arch(self) -> Architecture:
        """The architecture of its machine."""
        return architecture.of_run(self.run.manifest())

    @property
    def uptime(self) -> float:
        """Seconds since its machine was started."""
        started = self.run.manifest().get("started")
        return max(0.0, time.time() - started) if isinstance(started, int | float) else 0.0


def ram_file(lab: LabDir) -> Path:
    """The file that is the machine's memory. The record wins, as the cache may be another now."""
    recorded = (lab.state() or {}).get("ram")
    return Path(recorded) if isinstance(recorded, str) else cache_root() / "ram" / lab.id


@contextlib.contextmanager
def claimed(
    lab: LabDir, name: str, command: str, progress: Progress | None = None
) -> Iterator[int]:
    """Claim a lab while the block runs; yields the claim's descriptor, for QEMU to inherit.

    ``command``: who we are, in words for others. They can also see which stage ``progress`` is at.

    Raises:
        BusyError: somebody else prepares or runs it; the message names them.
    """
    with sweeping():
        handle = _lock(lab)
        if handle is not None:
            claim.say(lab, handle, name, command)
    if handle is None:
        raise _busy(lab, name)
    try:
        with claim.named_interrupts(lab), claim.told(lab, progress):
            yield handle
    finally:
        claim.done(lab, handle)
        os.close(handle)


def of_session() -> list[LabDir]:
    """The labs of this session: those with a folder, then those that a command prepares."""
    prepared = [lab for lab in rundir.claimed_labs() if claim.maker(lab)]  # may get a folder now
    return list({lab.id: lab for lab in (*rundir.all_lab_dirs(), *prepared)}.values())


def record_intent(lab: LabDir, plan: Plan, run: RunDir, door: Door, *, kept: bool) -> None:
    """Record what is about to start, before it does, so that a later command can clean up."""
    lab.record(
        name=plan.lab.name, run=str(run.path), state=State.OFF, door=door, ram=str(ram_file(lab)),
        kept=kept, clock=plan.machine.clock, description=plan.lab.description,
        guests=[guest.name for guest in plan.guests],
        without_dom0=[[one.name, one.memory, one.vcpus] for one in plan.lab.booted]
        if plan.lab.without_dom0 else [],
    )  # fmt: skip


def without_dom0(lab: LabDir) -> list[Domain]:
    """The domains of a lab without dom0, as they were made; of any other lab none.

    Nobody can be asked how they are.
    """
    made = (lab.state() or {}).get("without_dom0") or []
    return [Domain(name, number, memory, vcpus, "------", 0.0)
            for number, (name, memory, vcpus) in enumerate(made, 1)]  # fmt: skip


def find(lab: LabDir) -> Live | None:
    """The live lab of this folder; ``None`` if there is no record, or a damaged one."""
    state = lab.state() or {}
    try:
        program = state.get("program")
        return Live(
            name=str(state["name"]),
            lab=lab,
            run=RunDir(Path(state["run"])),
            state=State(state["state"]),
            record=ProgramRecord(**{**program, "door": Door(program["door"])}) if program else None,
            door=str(state["door"]),
            kept=bool(state["kept"]),
            still=state.get("clock") == Clock.VIRTUAL,
            guests=tuple(map(str, state.get("guests") or ())),
            description=str(state.get("description") or ""),
        )
    except (KeyError, TypeError, ValueError):
        return None


def running(lab: LabDir, name: str) -> Live:
    """The live lab of this folder, for a command that wants to use it.

    Raises:
        UsageError: it does not run, is still being prepared, or must not be disturbed.
    """
    live = find(lab)
    command = claim.maker(lab)
    if live is None and command is None:
        raise UsageError(f"lab {name} does not run", hint=f"start it: ./inv lab.up {name}")
    if live is None or not live.running:
        raise UsageError(
            f"lab {name} is being prepared" + (f" by {command}" if command else ""),
            hint=f"wait for it to be up, or stop it: ./inv lab.down {name}",
        )
    if live.still:
        raise UsageError(
            f"lab {name} runs under the virtual clock, for {command or 'another command'}: "
            "using it would change the run",
            hint="wait until the run ends, or run it with --clock host",
        )
    return live


def _lock(lab: LabDir) -> int | None:
    """Take the claim if it and its twin are free. The twin is left to the machine."""
    handle = files.try_lock(rundir.claim_file(lab))
    twin = None if handle is None else files.try_lock(files.twin(rundir.claim_file(lab)))
    if twin is not None:
        os.close(twin)
    elif handle is not None:
        os.close(handle)
        return None
    return handle


def end(live: Live, how: str, **manifest: Any) -> None:
    """End a lab's machine, if it still runs, and remove what only a live lab needs.

    The machine ends even if the disk is full or the run folder is gone.
    """
    _kill(live.lab, live.record)
    forget(live.lab)
    if live.run.path.is_dir() and live.run.manifest().get("life") == rundir.RUNNING:
        with contextlib.suppress(OSError):
            live.run.update_manifest(life=how, **manifest)


def forget(lab: LabDir) -> None:
    """Remove a lab's sockets, FIFOs and memory."""
    ram = ram_file(lab)
    for path in (ram, *ram.parent.glob(f"{ram.name}.*")):  # .*: copies, places
        if path.is_dir():
            files.remove_tree(path)
        else:
            path.unlink(missing_ok=True)
    lab.remove()


def sweep() -> list[str]:
    """Clean up after commands and machines that died; returns what was done, in words.

    A machine is killed if the command that made it died before it was up. Then every lab whose
    claim is free is left over: it is removed while we hold its claim.
    """
    done = []
    with sweeping():
        for lab in rundir.all_lab_dirs():
            unmade = claim.maker(lab) is None  # first: its command may end now, with the lab up
            live = find(lab)
            abandoned = unmade and not (live and live.running and live.kept)
            if abandoned:
                _kill(lab, live.record if live else None)
            handle = _lock(lab)
            if handle is None:
                continue
            try:
                done += _clean(lab, live, abandoned)
            finally:
                os.close(handle)
        done += [words for lab in rundir.lost_lab_dirs() for words in _end_lost(lab)]
    return done


def _end_lost(lab: LabDir) -> list[str]:
    """End a machine whose folder is gone, because nobody can reach it any more."""
    handle = _lock(lab)
    if handle is not None:
        os.close(handle)
        return []
    if claim.maker(lab) is not None or lab.path.exists() or not programs_of(None, lab.tag):
        return []
    _kill(lab, None)
    forget(lab)
    return [
        f"lab {lab.id}: its folder {lab.path} was removed while it ran; its machine was stopped"
    ]


def _clean(lab: LabDir, live: Live | None, abandoned: bool) -> list[str]:
    """Remove what is left of a lab whose claim we hold."""
    if live is None:
        forget(lab)
        return []
    why = "the command that started it died" if abandoned else postmortem.by_itself(live.run)
    end(live, rundir.LOST, reason=why)
    return [f"lab {live.name}: {why}; cleaned up, logs kept in {live.run.path}"]


def _kill(lab: LabDir, record: ProgramRecord | None) -> None:
    """End the lab's machine, even one that started and could not be recorded any more."""
    for program in programs_of(record, lab.tag):
        program.kill()
        program.wait(GONE)


def sweeping() -> contextlib.AbstractContextManager[None]:
    """Held while claims are tried, so that a sweeper is not taken for the holder of a lab;
    and while a command ends another one's machine, which a sweeper would take for one that died."""
    file = rundir.lock_folder() / "sweep"
    return turns.taken(file, "cleaning up after commands that died", SWEPT)


def _busy(lab: LabDir, name: str) -> BusyError:
    command = claim.maker(lab)
    found = find(lab)
    if command and not (found and found.running):
        return BusyError(
            f"lab {name} is in use by {command}",
            hint=f"wait for it to end, or stop it: ./inv lab.down {name}",
        )
    return BusyError(
        f"lab {name} runs already (run {found.run.path if found else '?'})"
        + (f", in use by {command}" if command else ""),
        hint=f"use it: ./inv lab.status {name}; or stop it: ./inv lab.down {name}",
    )
