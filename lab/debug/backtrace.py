"""Backtraces out of core files, as text."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.debug import core_file
from lab.debug.core_file import Thread
from lab.debug.launch import GDB, PACKAGE
from lab.debug.symbols import XEN
from lab.errors import UsageError
from lab.model import Command, Mount, Toolchain
from lab.rundir import RunDir
from lab.util import reading, symbols
from lab.util.terminal import escape

#: How many frames, and seconds that GDB may take.
FRAMES, LONGEST = 20, 60.0
#: GDB reads the registers of a core file as Linux on this architecture writes them.
FORMAT = "set osabi GNU/Linux"
#: What GDB's Python prints of the tasks begins so.
MARK = "lab-tasks:"
TASKS = (
    "python import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {folder!r}); "
    "from lab.debug.gdb_commands import saved; saved.print_saved()"
)
#: Xen's function that ends everything, in a frame.
PANIC = " in panic ("
#: Where a task of our port returns to, if its function ends (images/freertos/port/port.c).
RETURNED = "port_task_returned"


def core_of(run: RunDir, name: str) -> Path:
    """The core file of a run.

    Raises:
        UsageError: there is none; the hint names those that are there.
    """
    path = run.path / "core" / f"{name}.core"
    if path.is_file():
        return path
    found = ", ".join(sorted(one.stem for one in path.parent.glob("*.core"))) or "none"
    raise UsageError(
        f"run {run.id} has no core file of {name}",
        hint=f"it has: {found}. A guest that fails a run leaves one, and Xen if it panics; with "
        "lab.run --cores every guest does",
    )


def elf_of(run: RunDir, name: str) -> Path:
    """The ELF file of what crashed. Debian's Xen and Debian's Linux have none."""
    return run.symbols_file if name == XEN else run.guest_dir / f"{name}.elf"


def opening(elf: Path, core: Path) -> list[str]:
    """GDB's arguments that open a core file, with the ELF file's names if there is one."""
    named = [f"--symbols={elf}", f"--exec={elf}"] if elf.is_file() else []
    return ["-iex", FORMAT, *named, f"--core={core}"]


def backtrace(toolchain: Toolchain, run: RunDir, name: str) -> str:
    """The backtrace of the first thread of a core file. FreeRTOS's tasks become threads of it.

    Without an ELF file it has addresses only.

    Raises:
        UsageError: there is no such core file. ToolchainError: GDB does not run.
    """
    core = core_of(run, name)
    if name != XEN:
        _add_tasks(core, _gdb(toolchain, run, name, TASKS.format(folder=str(PACKAGE.parent))))
    lines = _gdb(toolchain, run, name, f"backtrace {FRAMES}")
    frames = [one for one in lines if one.startswith("#")]
    first = [number for number, one in enumerate(frames) if one.startswith("#0 ")]
    return "\n".join(_own(elf_of(run, name), frames[first[-1] if first else 0 :]))


def _gdb(toolchain: Toolchain, run: RunDir, name: str, command: str) -> list[str]:
    """The lines that GDB prints for a command, with the core file of ``name``."""
    argv = [GDB, "-nx", "-q", "--batch", "-iex", "set auto-load off",
            *opening(elf_of(run, name), core_of(run, name)), "-ex", "set print entry-values no",
            "-ex", command]  # fmt: skip
    mounts = [Mount(run.path, str(run.path)), Mount(PACKAGE, str(PACKAGE))]
    done = toolchain.run(Command(argv, mounts, "/", timeout=LONGEST), check=False)
    return done.stdout.decode("utf-8", "replace").splitlines()


def _own(elf: Path, frames: list[str]) -> Iterator[str]:
    """The frames down to the first function of a task; those of Xen's wait after a panic are left
    out."""
    panics = [number for number, frame in enumerate(frames) if PANIC in frame]
    frames = frames[panics[0] :] if panics else frames
    end = symbols.read(elf).address(RETURNED)
    for frame in frames:
        found = re.match(r"#\d+ +0x([0-9a-f]+) in ", frame)
        if found and int(found[1], 16) == end:
            return
        yield escape(frame)


def _thread(told: Any) -> Thread:
    registers = {str(name): int(value) for name, value in told["registers"].items()}
    return Thread(int(told["key"]), registers)


def _add_tasks(core: Path, lines: list[str]) -> None:
    """Add the tasks that GDB found to the core file: a thread's number is that of its TCB."""
    said = next((one for one in lines if one.startswith(MARK)), None)
    if said is None:
        return
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        tasks = reading.parse_json(said.removeprefix(MARK))
        core_file.with_threads(core, [_thread(one) for one in tasks])
