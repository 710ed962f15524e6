"""Runs the lab's own commands for a seat, each in a process of its own (:mod:`lab.web.forked`).

So a command that fails, hangs or is stopped does not touch the server, and one that has begun goes
on if the server is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.images import compiling
from lab.util import reading
from lab.util.proc import end_group
from lab.util.terminal import escape_lines
from lab.web.discretion import discreet
from lab.web.forked import Forked, Forks, Fresh

#: Seconds that a command may take; a first build of everything takes minutes.
LONGEST = 900.0
#: The most bytes of a command's output that are kept.
MOST_SAID = 256 << 10
#: The variables of the server's environment that a command gets, by how their names begin.
PASSED_ON = ("LAB_", "XDG_RUNTIME_DIR", "PYTHON", "DOCKER_")
#: A line about a stage of a command (:mod:`lab.progress`).
_STAGE = re.compile(r" *[\w' ]+ … .*")


@dataclass(frozen=True)
class Limits:
    """What a command may use, and each program that it starts (getrlimit(2)).

    Attributes:
        seconds: of time, and of processor time of one program.
        memory: bytes of one program; ``file``: of one file.
        processes: of this user; the system does not count root's.
    """

    seconds: float = 120.0
    memory: int = 4 << 30
    file: int = 256 << 20
    processes: int = 4096

    def set(self, pid: int) -> None:
        """Limit a process that has just been started."""
        with contextlib.suppress(ProcessLookupError):
            for what, most in (
                (resource.RLIMIT_CPU, int(self.seconds)),
                (resource.RLIMIT_AS, self.memory),
                (resource.RLIMIT_FSIZE, self.file),
                (resource.RLIMIT_NPROC, self.processes),
            ):
                _, hard = resource.prlimit(pid, what)
                least = most if hard == resource.RLIM_INFINITY else min(most, hard)
                resource.prlimit(pid, what, (least, least))


#: What a participant's build may use.
BUILD = Limits()


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit status, and what it said, escaped and discreet."""

    status: int
    said: str

    @property
    def well(self) -> bool:
        return self.status == 0


class Commands:
    """Runs commands. ``forks``: of which they are forked, if it is ready."""

    def __init__(self, forks: Forks | None = None) -> None:
        self._forks = forks

    async def run(self, words: Sequence[str], labs: Path, limits: Limits | None = None) -> Done:
        """Run ``xenlab WORD…`` on the labs.yaml of a seat, or another file beside it. If this is
        cancelled, the command is interrupted."""
        with tempfile.NamedTemporaryFile(prefix="xenlab-") as log:
            command = await self._begun([*words, "--labs", str(labs)], log, limits)
            with contextlib.closing(command):
                try:
                    async with asyncio.timeout(limits.seconds if limits else LONGEST):
                        await command.ended()
                except TimeoutError:
                    end_group(command.pid)
                    log.write(b"it took too long and was ended\n")
                    log.flush()
                except asyncio.CancelledError:
                    command.terminate()
                    raise
                status = await command.status()
            words = discreet(said(Path(log.name)), labs.parent)
            return Done(-1 if status is None else status, words)

    async def _begun(
        self, words: Sequence[str], log: IO[bytes], limits: Limits | None
    ) -> Fresh | Forked:
        def limit(pid: int) -> None:
            if limits:
                limits.set(pid)

        if self._forks and (found := await self._forks.command(words, log, limit)):
            return found
        fresh = Fresh(words, log, environment())
        limit(fresh.pid)
        return fresh


def said(log: Path) -> str:
    """What a command has said so far, escaped, without its stages that went well."""
    with contextlib.suppress(OSError), reading.binary(log) as stream:
        lines = escape_lines(stream.read(MOST_SAID)).split("\n")
        return "\n".join(line for line in lines if not _STAGE.fullmatch(line))
    return ""


def environment(ours: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a command gets of the server's environment. What it compiles is confined."""
    kept = {name: value for name, value in ours.items() if name.startswith(PASSED_ON)}
    return kept | {compiling.CONFINED: "1"}
