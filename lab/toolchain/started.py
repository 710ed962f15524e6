"""Finds programs that were started earlier, perhaps by another command, through any door.

Every command does this. The code that talks to a Docker engine is loaded only if an engine has
been used before.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.model import Door, Program, ProgramRecord
from lab.toolchain.docker import used
from lab.toolchain.program import HostProgram, live_folders, tagged


def adopt(record: ProgramRecord) -> Program:
    """The program of a record, whichever door started it. This needs no toolchain."""
    if record.door is Door.DOCKER:
        from lab.toolchain.docker.program import DockerProgram

        return DockerProgram(record)
    return HostProgram(record)


def programs_of(record: ProgramRecord | None, tag: str) -> list[Program]:
    """Every program that still belongs to a lab: the recorded one, and all with the lab's tag.

    If a command is killed after it started a program but before it recorded it, only the tag
    finds the program.
    """
    known: list[Program] = [adopt(record)] if record else []
    return [*known, *tagged(tag), *_in_containers(tag)]


def _in_containers(tag: str) -> Sequence[Program]:
    if not used.engines():
        return ()
    from lab.toolchain.docker import program

    return program.machines(tag)


def homes_of_machines(target: str) -> set[Path]:
    """The folders with the live labs of this user, of all login sessions.

    ``target``: the path at which a machine sees its own lab's folder.
    """
    found = {folder.parent for folder in live_folders(target)}
    if not used.engines():
        return found
    from lab.toolchain.docker import program

    return found | program.homes()


def sweep_engines() -> list[str]:
    """Remove what dead commands left at the engines that were used. Returns what was removed."""
    if not used.engines():
        return []
    from lab.toolchain.docker import sweep

    return sweep.sweep_engines()
