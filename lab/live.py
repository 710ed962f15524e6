"""Labs that run: who holds one, what an earlier command left behind.

A lab's lock is an flock(2) that QEMU inherits, so it is held exactly as long as somebody
prepares the lab or its machine lives, however they end. A machine in a container cannot
inherit: it locks the lock's twin. What is recorded of a lab without a lock is left over, and
the next command of the same user cleans it up.

The lock's file says which command holds it (its maker), for as long as that command is at it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import rundir
from lab.errors import BusyError, UsageError
from lab.model import Door, ProgramRecord, State
from lab.rundir import LabDir, RunDir
from lab.store import cache_root
from lab.toolchain import programs_of
from lab.toolchain.program import HostProgram
from lab.util import files, process, reading

#: Seconds that a killed machine may take to be gone.
GONE = 10.0
#: Seconds that a command may take to stop when it is asked to, its machine included.
STOPPED = 30.0


@dataclass(frozen=True)
class Live:
    """A lab that is being started or runs.

    ``kept`` says whether its machine outlives the command that started it.
    """

    name: str
    lab: LabDir
    run: RunDir
    state: State
    record: ProgramRecord | None
    door: str
    kept: bool

    @property
    def running(self) -> bool:
        """Whether it came up: its guests were created."""
        return self.state is State.GUESTS

    @property
    def abandoned(self) -> bool:
        """Whether its machine is nobody's: the command that should see to it is gone."""
        return not (self.running and self.kept) and maker(self.lab) is None


def ram_file(lab: LabDir) -> Path:
    """The machine's memory, as a file. Where it was put stays true with another cache."""
    recorded = (lab.state() or {}).get("ram")
    return Path(recorded) if isinstance(recorded, str) else cache_root() / "ram" / lab.id


@contextlib.contextmanager
def claimed(lab: LabDir, name: str, command: str) -> Iterator[int]:
    """Hold a lab's lock; yields its descriptor, for QEMU to inherit.

    Raises:
        BusyError: somebody else prepares or runs it; names them.
    """
    with _sweeping():
        handle = _lock(lab)
        if handle is not None:
            _say_who(lab, handle, {"command": command, **_ourselves()})
    if handle is None:
        raise _busy(lab, name)
    try:
        yield handle
    finally:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
        os.close(handle)


def record_intent(lab: LabDir, name: str, run: RunDir, door: Door, *, kept: bool) -> None:
    """Say what is about to be started, before it is: a later command can then clean up."""
    ram = str(ram_file(lab))
    lab.record(name=name, run=str(run.path), state=State.OFF, door=door, ram=ram, kept=kept)


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
        )
    except (KeyError, TypeError, ValueError):
        return None


def running(lab: LabDir, name: str) -> Live:
    """The live lab of this folder.

    Raises:
        UsageError: it does not run, or is still being started.
    """
    live = find(lab)
    if live is None:
        raise UsageError(f"lab {name} does not run", hint=f"start it: ./inv lab.up {name}")
    if not live.running:
        raise UsageError(
            f"lab {name} is still being started (state {live.state})",
            hint="wait for its lab.up to end, or stop it with lab.down",
        )
    return live


def maker(lab: LabDir) -> HostProgram | None:
    """The command that is at work on the lab now, if there is one."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        said = reading.json_file(rundir.lock_file(lab))
        found = HostProgram(
            ProgramRecord(Door.HOST, str(said["pid"]), said["boot_id"], said["start_time"])
        )
        return found if found.alive() else None
    return None


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


def interrupt(lab: LabDir) -> bool:
    """Have the command that is at work on the lab stop, as Ctrl-C does; whether there was one.

    It cleans up by itself; should it hang, it is left to whoever ends the machine.
    """
    command = maker(lab)
    if command is None or int(command.record.id) == os.getpid():
        return False
    command.interrupt()
    command.wait(STOPPED)
    return True


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
            abandoned = live.abandoned if live else maker(lab) is None
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
    if maker(lab) is not None or not programs_of(None, lab.tag):
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


def _sweeping() -> contextlib.AbstractContextManager[int]:
    """Held while locks of labs are tried, so that nobody takes a sweeper for a lab's holder."""
    return files.locked(rundir.lock_folder() / "sweep")


def _ourselves() -> dict[str, Any]:
    pid = os.getpid()
    return {"pid": pid, "boot_id": process.boot_id(), "start_time": process.start_time(pid)}


def _say_who(lab: LabDir, handle: int, who: dict[str, Any]) -> None:
    with files.naming(rundir.lock_file(lab)):
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(who).encode(), 0)


def _busy(lab: LabDir, name: str) -> BusyError:
    said: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        said = reading.json_file(rundir.lock_file(lab))
    state = lab.state() or {}
    if said:
        return BusyError(
            f"lab {name} is in the hands of {said.get('command')}, process {said.get('pid')}",
            hint=f"wait for it to end, or stop it: ./inv lab.down {name}",
        )
    return BusyError(
        f"lab {name} runs already (run {state.get('run', '?')})",
        hint=f"use it: ./inv lab.status {name}; or stop it: ./inv lab.down {name}",
    )
