"""Labs that run: who holds one, what an earlier command left behind.

A lab's lock is an flock(2) that QEMU inherits, so it is held exactly as long as somebody
prepares the lab or its machine lives, however they end. A machine in a container cannot
inherit: it locks the lock's twin. What is recorded of a lab without a lock is left over, and
the next command of the same user cleans it up.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import rundir
from lab.errors import BusyError, UsageError
from lab.model import Clock, Domain, Door, Plan, ProgramRecord, State
from lab.progress import Progress
from lab.run import claim
from lab.rundir import LabDir, RunDir
from lab.store import cache_root
from lab.toolchain import programs_of
from lab.util import files, turns

#: Seconds that a killed machine may take to be gone.
GONE = 10.0
#: Seconds that others may take to clean up.
SWEPT = 60.0


@dataclass(frozen=True)
class Live:
    """A lab that is being started or runs.

    ``kept`` says whether its machine outlives the command that started it; ``still``, whether
    it runs under the virtual clock, so that nothing from outside may disturb it. ``guests``: the
    ones that it was started with.
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
    def uptime(self) -> float:
        """Seconds since its machine was started."""
        started = self.run.manifest().get("started")
        return max(0.0, time.time() - started) if isinstance(started, int | float) else 0.0

    @property
    def abandoned(self) -> bool:
        """Whether its machine is nobody's: the command that should see to it is gone."""
        return not (self.running and self.kept) and claim.maker(self.lab) is None


def ram_file(lab: LabDir) -> Path:
    """The machine's memory, as a file. Where it was put stays true with another cache."""
    recorded = (lab.state() or {}).get("ram")
    return Path(recorded) if isinstance(recorded, str) else cache_root() / "ram" / lab.id


@contextlib.contextmanager
def claimed(
    lab: LabDir, name: str, command: str, progress: Progress | None = None
) -> Iterator[int]:
    """Hold a lab's lock; yields its descriptor, for QEMU to inherit.

    Others can see what ``progress`` is at meanwhile.

    Raises:
        BusyError: somebody else prepares or runs it; names them.
    """
    with _sweeping():
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


def prepared_now() -> list[LabDir]:
    """The labs of this session that commands are at work on, and that have no folder yet."""
    known = {lab.id for lab in rundir.all_lab_dirs()}
    return [lab for lab in rundir.locked_labs() if lab.id not in known and claim.maker(lab)]


def record_intent(lab: LabDir, plan: Plan, run: RunDir, door: Door, *, kept: bool) -> None:
    """Say what is about to be started, before it is: a later command can then clean up."""
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


def need_dom0(lab: LabDir) -> None:
    """Nothing, if the lab has a dom0.

    Raises:
        UsageError: it has none.
    """
    if without_dom0(lab):
        raise UsageError(
            "this needs dom0, and the lab has none: labs.yaml has 'dom0: false'",
            hint="what its guests and Xen say is in lab.logs",
        )


def find(lab: LabDir) -> Live | None:
    """The live lab of this folder, if anything (whole) is recorded there."""
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
            "nothing from outside may disturb it",
            hint="wait for its end, or run it with --clock host",
        )
    return live


def _lock(lab: LabDir) -> int | None:
    """Take the lock if it and its twin are free. The twin stays free: its machine's to take."""
    handle = files.try_lock(rundir.lock_file(lab))
    twin = None if handle is None else files.try_lock(files.twin(rundir.lock_file(lab)))
    if twin is not None:
        os.close(twin)
    elif handle is not None:
        os.close(handle)
        return None
    return handle


def end(live: Live, how: str, **manifest: Any) -> None:
    """End a lab's machine, if it still runs, and remove what only a live lab needs.

    A full disk, or a run folder that is gone, does not keep the machine.
    """
    _kill(live.lab, live.record)
    forget(live.lab)
    if live.run.path.is_dir() and live.run.manifest().get("life") == rundir.RUNNING:
        with contextlib.suppress(OSError):
            live.run.update_manifest(life=how, **manifest)


def forget(lab: LabDir) -> None:
    """Remove a lab's sockets, FIFOs and memory."""
    ram = ram_file(lab)
    for path in (ram, *ram.parent.glob(f"{ram.name}.*")):  # and copies that a template is made of
        path.unlink(missing_ok=True)
    lab.remove()


def sweep() -> list[str]:
    """Clean up after commands and machines that died; returns what was done, in words.

    A machine whose maker died before it was up is killed; then whatever no longer holds its
    lock is left over, and removed while we hold that lock.
    """
    done = []
    with _sweeping():
        for lab in rundir.all_lab_dirs():
            live = find(lab)
            abandoned = live.abandoned if live else claim.maker(lab) is None
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
    """End a machine whose folder is gone: nobody can reach it any more."""
    handle = _lock(lab)
    if handle is not None:
        os.close(handle)
        return []
    if claim.maker(lab) is not None or not programs_of(None, lab.tag):
        return []
    _kill(lab, None)
    forget(lab)
    return [f"lab {lab.id}: its folder {lab.path} was removed while it ran; its machine was ended"]


def _clean(lab: LabDir, live: Live | None, abandoned: bool) -> list[str]:
    """Remove what is left of a lab, whose lock we hold."""
    if live is None:
        forget(lab)
        return []
    why = "the command that started it died" if abandoned else "QEMU ended by itself"
    end(live, rundir.INTERRUPTED, reason=why)
    return [f"lab {live.name}: {why}; cleaned up, logs kept in {live.run.path}"]


def _kill(lab: LabDir, record: ProgramRecord | None) -> None:
    """End the lab's machine, also one that was started but could not be recorded any more."""
    for program in programs_of(record, lab.tag):
        program.kill()
        program.wait(GONE)


def _sweeping() -> contextlib.AbstractContextManager[None]:
    """Held while locks of labs are tried, so that nobody takes a sweeper for a lab's holder."""
    file = rundir.lock_folder() / "sweep"
    return turns.taken(file, "cleaning up after commands that died", SWEPT)


def _busy(lab: LabDir, name: str) -> BusyError:
    command = claim.maker(lab)
    found = find(lab)
    if command and not (found and found.running):
        return BusyError(
            f"lab {name} is in the hands of {command}",
            hint=f"wait for it to end, or stop it: ./inv lab.down {name}",
        )
    return BusyError(
        f"lab {name} runs already (run {found.run.path if found else '?'})"
        + (f", in the hands of {command}" if command else ""),
        hint=f"use it: ./inv lab.status {name}; or stop it: ./inv lab.down {name}",
    )
