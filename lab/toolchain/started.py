"""Programs that were started earlier, perhaps by another command and through any door.

Every command looks for them. Only if a Docker engine was ever used is the code loaded that
talks to one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.model import Door, Program, ProgramRecord
from lab.toolchain.docker import used
from lab.toolchain.program import HostProgram, live_folders, tagged


def adopt(record: ProgramRecord) -> Program:
    """The program of a record, whichever door started it; needs no toolchain."""
    if record.door is Door.DOCKER:
        from lab.toolchain.docker.program import DockerProgram

        return DockerProgram(record)
    return HostProgram(record)


def programs_of(record: ProgramRecord | None, tag: str) -> list[Program]:
    """Every program that still belongs to a lab: the recorded one, and all that carry its tag.

    A command that is killed between starting a program and recording it leaves the latter.
    """
    known: list[Program] = [adopt(record)] if record else []
    return [*known, *tagged(tag), *_in_containers(tag)]


def _in_containers(tag: str) -> Sequence[Program]:
    if not used.engines():
        return ()
    from lab.toolchain.docker import program

    return program.machines(tag)


def homes_of_machines(target: str) -> set[Path]:
    """The folders of live labs that this user's machines have, of whichever session they are.

    ``target``: where a machine sees its own lab's folder.
    """
    found = {folder.parent for folder in live_folders(target)}
    if not used.engines():
        return found
    from lab.toolchain.docker import program

    return found | program.homes()


def sweep_engines() -> list[str]:
    """Remove what dead commands left at the engines that were used; returns what was done."""
    if not used.engines():
        return []
    from lab.toolchain.docker import sweep

    return sweep.sweep_engines()
