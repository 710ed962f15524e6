"""How programs are run: one set of packages, several doors to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from lab.errors import UsageError
from lab.model import Door, Program, ProgramRecord, Toolchain
from lab.store import cache_root
from lab.toolchain.docker.door import open_docker
from lab.toolchain.docker.engine import Engine, address
from lab.toolchain.docker.program import DockerProgram, homes, machines
from lab.toolchain.docker.sweep import sweep_engines
from lab.toolchain.host import open_host, this_machine
from lab.toolchain.program import HostProgram, live_folders, tagged
from lab.toolchain.request import ANYTHING, ToolchainRequest
from lab.toolchain.rootfs import open_rootfs

__all__ = [
    "ToolchainRequest", "adopt", "homes_of_machines", "open_toolchain", "programs_of",
    "sweep_engines",
    "this_machine",
]  # fmt: skip

DOORS = ("auto", *(door.value for door in Door))


def open_toolchain(
    door: str = "auto",
    *,
    cache: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
    wanted: ToolchainRequest = ANYTHING,
) -> Toolchain:
    """The toolchain, through ``door``; made first if need be, with ``progress`` told.

    ``wanted``: of which packages. The host door has its own, whatever is wanted.

    ``$LAB_DOOR`` decides what ``auto`` means; without it, it is Docker where an engine answers
    within two seconds and this user may use it, else the rootfs door.

    Raises:
        UsageError: there is no such door.
        ToolchainError: it cannot be had here; the hint says what to do.
    """
    chosen = os.environ.get("LAB_DOOR", "auto") if door == "auto" else door
    root = cache or cache_root()
    if chosen == "auto":
        chosen = Door.DOCKER if Engine(address()).answers() else Door.ROOTFS
    if chosen == Door.ROOTFS:
        return open_rootfs(root, progress, wanted)
    if chosen == Door.HOST:
        return open_host(progress)
    if chosen == Door.DOCKER:
        return open_docker(root, progress, wanted)
    raise UsageError(f"there is no door {chosen!r}", hint=f"one of: {', '.join(DOORS)}")


def adopt(record: ProgramRecord) -> Program:
    """The program of a record, whichever door started it; needs no toolchain."""
    return DockerProgram(record) if record.door is Door.DOCKER else HostProgram(record)


def programs_of(record: ProgramRecord | None, tag: str) -> list[Program]:
    """Every program that still belongs to a lab: the recorded one, and all that carry its tag.

    A command that is killed between starting a program and recording it leaves the latter.
    """
    known: list[Program] = [adopt(record)] if record else []
    return [*known, *tagged(tag), *machines(tag)]


def homes_of_machines(target: str) -> set[Path]:
    """The folders of live labs that this user's machines have, of whichever session they are.

    ``target``: where a machine sees its own lab's folder.
    """
    return {folder.parent for folder in live_folders(target)} | homes()
