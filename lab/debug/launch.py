"""Starts GDB in the toolchain: what it may see, what it is told, its command line.

GDB sees files at the same paths as the host does, so that an editor finds the sources that GDB
names. It sees the run folder, the folder of the live lab, sources and commands, and no network.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
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
CONNECT = "python gdb_commands.connect()"


@dataclass(frozen=True)
class Session:
    """What GDB is started for.

    Attributes:
        on: where breakpoints count first.
        notes: lines that GDB shows when it is connected.
    """

    lab: LabDir
    run: RunDir
    symbols: Symbols
    on: str
    notes: tuple[str, ...] = ()

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
    if not isinstance(toolchain, Sandbox):
        raise ToolchainError(
            "the debugger does not run through this door",
            hint="it needs the rootfs door, whichever door the lab has: --door rootfs",
        )
    begin = START.format(folder=str(PACKAGE.parent), file=str(session.write()))
    argv = [GDB, "-nx", "-q", "-iex", "set auto-load off", "-iex", f"python {begin}",
            *arguments]  # fmt: skip
    mounts = list(_mounts(session, scripts))
    return toolchain.terminal_line(Command(argv, mounts, str(session.run.path)))


def _mounts(session: Session, scripts: Sequence[Path]) -> dict[Mount, None]:
    folders = [session.lab.path, session.run.path, PACKAGE]
    folders += [folder for _, folder in session.symbols.sources]
    folders += [path.parent for path in session.symbols.files.values()]
    folders += [script.parent for script in scripts]
    outer: list[Path] = []
    for folder in sorted({folder.resolve() for folder in folders}, key=lambda one: len(one.parts)):
        if not any(folder.is_relative_to(other) for other in outer):
            outer.append(folder)
    return {Mount(folder, str(folder)): None for folder in outer}


def script(line: Sequence[str]) -> str:
    """A shell script that is this GDB, for an editor: it takes GDB's further arguments."""
    return f'#!/bin/sh\nexec {shlex.join(line)} "$@"\n'
