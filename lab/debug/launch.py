"""Starts GDB in the toolchain: what it may see, what it is told, its command line.

GDB sees files at the same paths as the host does, so that an editor finds the sources that GDB
names. It sees the run folder, the folder of the live lab, sources and commands, and no network.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.debug.server import SOCKET
from lab.debug.symbols import Symbols
from lab.errors import ToolchainError
from lab.model import Command, Mount, Toolchain
from lab.rundir import LabDir, RunDir
from lab.toolchain.sandbox import Sandbox
from lab.util import files

GDB = "gdb-multiarch"
#: The file in the live lab's folder that tells GDB's commands about the session.
SESSION = "debug.json"
#: The folder of the package that GDB's Python imports its commands from.
PACKAGE = Path(__file__).parents[1]
START = (
    "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, {folder!r}); "
    "from lab.debug import gdb_commands; gdb_commands.start({file!r})"
)
#: What a confined GDB, and each program that it starts, may use at most (prlimit(1)): seconds of
#: processor time, bytes of memory and of a file, and processes of this user.
LIMITS = ("prlimit", "--cpu=600", f"--as={4 << 30}", f"--fsize={64 << 20}", "--core=0",
          "--nproc=4096", "--")  # fmt: skip
#: The most bytes that it may keep in each of its temporary folders.
SCRATCH = 64 << 20
#: What begins a session with a machine, or without one.
CONNECT, READY = "python gdb_commands.connect()", "python gdb_commands.ready()"


@dataclass(frozen=True)
class Session:
    """What GDB is started for.

    Attributes:
        on: where breakpoints count first.
        notes: lines that GDB shows when it is connected.
        confined: of the live lab GDB sees only what it connects to, and :data:`LIMITS` hold. GDB
            can run programs (its commands ``shell`` and ``python``), so this is for those who may
            use this lab and nothing else.
    """

    lab: LabDir
    run: RunDir
    symbols: Symbols
    on: str
    notes: tuple[str, ...] = ()
    confined: bool = False

    def write(self) -> Path:
        """Write what GDB's commands read; returns the file."""
        told = {
            "socket": str(self.lab.path / SOCKET), "on": self.on,
            "symbols": {name: str(path) for name, path in self.symbols.files.items()},
            "why_none": dict(self.symbols.why_none),
            "sources": [(name, str(folder)) for name, folder in self.symbols.sources],
            "consoles": {name: str(path) for name, path in self.run.consoles().items()},
            "notes": list(self.notes),
        }  # fmt: skip
        file = self.lab.path / SESSION
        files.write_private(file, json.dumps(told))
        return file

    def forget(self) -> None:
        """Remove what GDB's commands have read."""
        (self.lab.path / SESSION).unlink(missing_ok=True)


def command_line(
    toolchain: Toolchain, session: Session, arguments: Sequence[str], scripts: Sequence[Path] = ()
) -> list[str]:
    """The command line of a GDB that connects to the proxy, then does ``arguments``.

    ``scripts``: files that the arguments name, besides.

    Raises:
        ToolchainError: GDB cannot run on a terminal in this toolchain.
    """
    folders = [script.parent for script in scripts]
    command = _command(session, arguments, folders)
    return _sandbox(toolchain).terminal_line(command)


def editors_line(toolchain: Toolchain, session: Session, workspace: Path) -> list[str]:
    """The same for an editor's GDB: it sees what is in ``workspace``, and may open the terminals
    that the editor has made for it.

    Raises:
        ToolchainError: GDB cannot run on a terminal in this toolchain.
    """
    command = _command(session, [], [workspace])
    return _sandbox(toolchain).terminal_line(command, others=True)


def _sandbox(toolchain: Toolchain) -> Sandbox:
    if not isinstance(toolchain, Sandbox):
        raise ToolchainError(
            "the debugger does not run through this door",
            hint="it needs the rootfs door, whichever door the lab has: --door rootfs",
        )
    return toolchain


def _command(session: Session, arguments: Sequence[str], folders: Sequence[Path]) -> Command:
    begin = START.format(folder=str(PACKAGE.parent), file=str(session.write()))
    argv = [GDB, "-nx", "-q", "-iex", "set auto-load off", "-iex", f"python {begin}",
            *arguments]  # fmt: skip
    command = Command(argv, list(_mounts(session, folders)), str(session.run.path))
    if session.confined:
        command = replace(command, argv=[*LIMITS, *argv], scratch=SCRATCH)
    return command


def _mounts(session: Session, more: Sequence[Path]) -> dict[Mount, None]:
    lab = session.lab.path
    folders = [lab / SOCKET, lab / SESSION] if session.confined else [lab]
    folders += [session.run.path, PACKAGE, *more]
    folders += [folder for _, folder in session.symbols.sources]
    folders += [path.parent for path in session.symbols.files.values()]
    outer: list[Path] = []
    for folder in sorted({folder.resolve() for folder in folders}, key=lambda one: len(one.parts)):
        if not any(folder.is_relative_to(other) for other in outer):
            outer.append(folder)
    return {Mount(folder, str(folder)): None for folder in outer}


def script(line: Sequence[str]) -> str:
    """A shell script that is this GDB, for an editor: it takes GDB's further arguments."""
    return f'#!/bin/sh\nexec {shlex.join(line)} "$@"\n'
