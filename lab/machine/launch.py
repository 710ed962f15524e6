"""Starts QEMU, with the files of the host that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.machine import console_files, console_quota, qemu_command
from lab.machine.qemu_command import Memory
from lab.machine.recording import Recording
from lab.machine.template import Template
from lab.model import Command, Images, Mount, Plan, Program, StartOptions, Toolchain
from lab.rundir import LabDir, RunDir


@dataclass(frozen=True)
class MachineStart:
    """How to start a machine.

    Attributes:
        memory: where its memory lies.
        ram: the file of its memory, if it has its own.
        stored: the template to restore; ``None``: boot.
        recording: what a restored machine records or replays; ``None``: neither.
    """

    plan: Plan
    images: Images
    memory: Memory
    ram: Path
    stored: Template | None = None
    recording: Recording | None = None


def qemu(toolchain: Toolchain, lab: LabDir, run: RunDir, start: MachineStart, lock: int) -> Program:
    """Start QEMU, which inherits the file descriptor ``lock``. The machine stands still.

    Raises:
        LabError: QEMU could not be started.
    """
    if start.stored is None and start.memory is Memory.OWN:
        console_files.make_memory(start.ram, start.plan.machine.memory)
    recording = start.recording if start.stored else None
    mounts = [
        *console_files.images(start.images),
        *console_files.memory(start.ram, start.stored, start.memory),
        *console_files.folders(lab.path, run.console_dir, run.trace_dir),
        *([recording.lay()] if recording else []),
    ]  # fmt: skip
    restored = start.stored is not None
    argv = qemu_command.qemu(
        start.plan, lab.tag, restored=restored, memory=start.memory, recording=recording
    )
    run.update_manifest(command=argv)
    with run.qemu_log.open("ab") as log:
        options = StartOptions(lab.tag, log, [lock], console_quota.largest_file())
        return toolchain.start(command(argv, mounts, start), options)


def command(argv: list[str], mounts: list[Mount], start: MachineStart) -> Command:
    """QEMU with the library that makes its main loop and its CPUs take turns, if it needs that.

    A recording takes turns by itself (replay_mutex_lock in QEMU).
    """
    library = start.images.turns
    if library is None or (start.recording and start.stored):
        return Command(argv, mounts)
    inside = [*mounts, Mount(library.path, qemu_command.TURNS)]
    return Command(argv, inside, env={"LD_PRELOAD": qemu_command.TURNS})
