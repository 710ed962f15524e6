"""The naive boot, a baseline: what you would type after reading a wiki page.

It uses Debian's Xen, Debian's compressed kernel, QEMU's own device tree with its guest-loader
(docs/system/guest-loader.rst of QEMU), 512 MB for dom0, and one console for Xen and dom0. Only the
initramfs is ours, so that the same agent answers. Without ``highmem=off`` dom0 would hang in its
PCI probe.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.dom0 import connection
from lab.model import (
    AGENT_PORT,
    INITRAMFS_ADDRESS,
    KERNEL_ADDRESS,
    TIMES_PORT,
    Command,
    Image,
    MachinePlan,
    Mount,
    Program,
    StartOptions,
    Toolchain,
    processor_arguments,
)
from lab.rundir import runtime_root
from lab.util import waiting
from lab.util.deadline import Deadline

#: Seconds that the boot may take on the slowest machine.
LIMIT = 300.0
MEMORY = "1024M"
XEN_ARGS = "console=dtuart dtuart=/pl011@9000000 dom0_mem=512M"
DOM0_ARGS = "console=hvc0 rdinit=/init"


def command(machine: MachinePlan) -> list[str]:
    """QEMU's command line for a machine with this processor and interrupt controller."""
    return [
        machine.arch.qemu,
        *processor_arguments(machine), "-m", MEMORY, "-smp", "1",
        "-nic", "none", "-display", "none", "-no-reboot",
        "-global", "virtio-mmio.force-legacy=false",
        "-kernel", "/lab/xen", "-append", XEN_ARGS,
        "-device", f"guest-loader,addr={KERNEL_ADDRESS:#x},kernel=/lab/kernel,bootargs={DOM0_ARGS}",
        "-device", f"guest-loader,addr={INITRAMFS_ADDRESS:#x},initrd=/lab/initramfs",
        "-serial", "file:/lab/live/console",
        "-device", "virtio-serial-device",
        "-chardev", "socket,id=agent,path=/lab/live/agent.sock,server=on,wait=off",
        "-device", f"virtserialport,chardev=agent,name={AGENT_PORT}",
        "-chardev", "null,id=times",
        "-device", f"virtserialport,chardev=times,name={TIMES_PORT}",
    ]  # fmt: skip


@dataclass(frozen=True)
class Naive:
    """What the naive boot takes: a machine, and the files that it boots."""

    machine: MachinePlan
    hypervisor: Image
    kernel: Image
    initramfs: Image


def boot(toolchain: Toolchain, naive: Naive) -> float:
    """Boot once. Returns the seconds from QEMU's start until dom0's agent answers.

    Raises:
        LabError: it did not boot.
    """
    mounts = [
        Mount(naive.hypervisor.path, "/lab/xen"),
        Mount(naive.kernel.path, "/lab/kernel"),
        Mount(naive.initramfs.path, "/lab/initramfs"),
    ]
    with _folder() as live:
        clock = Deadline(LIMIT)
        mounts.append(Mount(live, "/lab/live", writable=True))
        argv = Command(command(naive.machine), mounts=mounts)
        with _started(toolchain, argv, live):
            asyncio.run(_answers(live))
            return clock.elapsed()


async def _answers(live: Path) -> None:
    """Wait until dom0's agent answers.

    QEMU opens its serial lines after all chardevs (qemu_create_late_backends in system/vl.c). So
    it listens on the agent's socket once the console's file is there; the socket itself appears
    a moment before QEMU listens on it.
    """
    async with asyncio.timeout(LIMIT):
        await waiting.appears(live / "console")
        async with connection.connected(live / "agent.sock", LIMIT):
            return


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=runtime_root().parent, prefix="bench-") as name:
        yield Path(name)


@contextmanager
def _started(toolchain: Toolchain, command: Command, live: Path) -> Iterator[Program]:
    with (live / "qemu.log").open("wb") as log:
        options = StartOptions(f"bench-{os.getpid()}", log)
        program = toolchain.start(command, options)
    try:
        yield program
    finally:
        program.kill()
        program.wait(10.0)
