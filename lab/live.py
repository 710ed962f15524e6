"""Labs that run: who holds one, what an earlier command left behind.

A lab's lock is an flock(2) that QEMU inherits, so it is held exactly as long as somebody
prepares the lab or its machine lives, however they end. A machine in a container cannot
inherit: it locks the lock's twin. What is recorded of a lab without a lock is left over, and
the next command of the same user cleans it up.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab import rundir
from lab.errors import BusyError, UsageError
from lab.model import Door, Program, ProgramRecord, State
from lab.rundir import LabDir, RunDir
from lab.store import cache_root
from lab.util import files, process

#: Finds the program of a record, whichever toolchain started it.
Adopt = Callable[[ProgramRecord], Program]

#: Seconds that a killed machine may take to be gone.
GONE = 10.0


@dataclass(frozen=True)
class Live:
    """A lab that is being started or runs."""

    name: str
    lab: LabDir
    run: RunDir
    state: State
    record: ProgramRecord | None
    maker_alive: bool
    door: str

    @property
    def running(self) -> bool:
        """Whether it came up: its guests were created."""
        return self.state is State.GUESTS


def ram_file(lab: LabDir) -> Path:
    """The machine's memory, as a file."""
    return cache_root() / "ram" / lab.id


@contextlib.contextmanager
def claimed(lab: LabDir, name: str, command: str) -> Iterator[int]:
    """Hold a lab's lock; yields its descriptor, for QEMU to inherit.

    Raises:
        BusyError: somebody else prepares or runs it; names them.
    """
    path = rundir.lock_file(lab)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _check_free(files.twin(path))
        except BlockingIOError:
            raise _busy(path, lab, name) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps({"pid": os.getpid(), "command": command}).encode(), 0)
        yield handle
    finally:
        os.close(handle)


def _check_free(twin: Path) -> None:
    """Raise ``BlockingIOError`` if a machine in a container holds the lock's twin."""
    handle = os.open(twin, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(handle)


def record_intent(lab: LabDir, name: str, run: RunDir, door: Door) -> None:
    """Say what is about to be started, before it is: a later command can then clean up."""
    lab.record(
        name=name, run=str(run.path), state=State.OFF, door=door,
        maker={
            "pid": os.getpid(),
            "start_time": process.start_time(os.getpid()),
            "boot_id": process.boot_id(),
        },
    )  # fmt: skip


def record_program(lab: LabDir, record: ProgramRecord) -> None:
    lab.record(program=asdict(record))


def find(lab: LabDir) -> Live | None:
    """The live lab of this folder, if anything is recorded there."""
    state = lab.state()
    if state is None or "run" not in state:
        return None
    program = state.get("program")
    return Live(
        name=str(state.get("name", "?")),
        lab=lab,
        run=RunDir(Path(state["run"])),
        state=State(state.get("state", State.OFF)),
        record=ProgramRecord(**{**program, "door": Door(program["door"])}) if program else None,
        maker_alive=_alive(state.get("maker") or {}),
        door=str(state.get("door", "")),
    )


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


def end(live: Live, adopt: Adopt, how: str, **manifest: Any) -> None:
    """End a lab's machine, if it still runs, and remove what only a live lab needs."""
    _kill(live, adopt)
    if live.run.path.is_dir() and live.run.manifest().get("life") == rundir.RUNNING:
        live.run.update_manifest(life=how, **manifest)
    forget(live.lab)


def forget(lab: LabDir) -> None:
    """Remove a lab's sockets, FIFOs and memory."""
    ram_file(lab).unlink(missing_ok=True)
    lab.remove()


def sweep(adopt: Adopt) -> list[str]:
    """Clean up after commands and machines that died; returns what was done, in words.

    A machine whose maker died before it was up is killed; then whatever no longer holds its
    lock is left over, and removed while we hold that lock.
    """
    done = []
    for lab in rundir.all_lab_dirs():
        live = find(lab)
        half_started = live is not None and not live.maker_alive and not live.running
        if live is not None and half_started:
            _kill(live, adopt)
        with contextlib.suppress(BusyError), claimed(lab, "", "sweep"):
            live = find(lab)
            if live is None:
                forget(lab)
                continue
            why = "the command that started it died" if half_started else "QEMU ended by itself"
            end(live, adopt, rundir.INTERRUPTED, reason=why)
            done.append(f"lab {live.name}: {why}; cleaned up, logs kept in {live.run.path}")
    return done


def _kill(live: Live, adopt: Adopt) -> None:
    if live.record is not None:
        program = adopt(live.record)
        program.kill()
        program.wait(GONE)


def _busy(path: Path, lab: LabDir, name: str) -> BusyError:
    holder: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        holder = json.loads(path.read_text())
    state = lab.state() or {}
    if state.get("state") == State.GUESTS:
        return BusyError(
            f"lab {name} runs already (run {state.get('run')})",
            hint=f"use it: ./inv lab.status {name}; or stop it: ./inv lab.down {name}",
        )
    return BusyError(
        f"lab {name} is being started by process {holder.get('pid', '?')}"
        f" ({holder.get('command', 'unknown command')})",
        hint="wait for it to end",
    )


def _alive(maker: dict[str, Any]) -> bool:
    if maker.get("boot_id") != process.boot_id():
        return False
    pid = maker.get("pid")
    return isinstance(pid, int) and process.start_time(pid) == maker.get("start_time")
