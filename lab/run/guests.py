"""Puts the files of a guest into dom0 and creates its domain."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from lab.dom0 import xl
from lab.dom0.agent import TURN, Dom0
from lab.errors import UsageError
from lab.images import elf
from lab.model import GuestImage, GuestPlan, Lab, Place
from lab.rundir import LabDir
from lab.util import reading, refusals, turns

#: Variables of a guest whose addresses dom0 needs; they are read from the guest's ELF file.
TRACE, DOORBELL = "lab_trace", "lab_doorbell"
MIB = 1 << 20
#: Bytes that dom0 needs for itself while ``xl`` creates a guest, and bytes of its other files.
#: All files together may take one half of its memory (tmpfs(5)). Both were found by trial, with
#: a margin.
OWN, OTHER_FILES = 92 * MIB, 28 * MIB
#: Xen allocates dom0's memory below 2 GiB in pieces of this size; smaller ones seldom succeed
#: (allocate_memory_11 in xen/arch/arm/domain_build.c).
DOM0_PIECE = 128 * MIB


def check_room(file: Path, lab: Lab, images: Mapping[str, GuestImage]) -> None:
    """Check before a boot that dom0 can hold the files of these guests. ``file``: labs.yaml.

    The files lie in dom0's memory, and ``xl`` needs as much again for the guest that it creates.
    Of disks only the data counts. Guests that Xen boots have no files there. The sum is an upper
    bound: the files of a kernel and a ramdisk are emptied when their domain is there. It holds
    also if several commands create guests at once, or ``xl`` may create them again.

    Raises:
        UsageError: dom0 cannot hold them; the hint says how much memory it needs.
    """
    if lab.without_dom0:
        return
    by_xen = {guest.name for guest in (*lab.guests, *lab.later) if guest.by_xen}
    images = {name: image for name, image in images.items() if name not in by_xen}
    sizes = {name: _size(image) for name, image in images.items()}
    disks = sum(map(_disk_data, images.values()))
    together, largest = sum(sizes.values()) + disks, max(sizes.values(), default=0)
    needed = max(together + largest + OWN, 2 * (together + OTHER_FILES))
    if needed <= lab.dom0.memory:
        return
    name = max(images, key=lambda one: sizes[one] + _disk_data(images[one]))
    wanted = f"dom0: {{memory: {-(-needed // DOM0_PIECE) * DOM0_PIECE // MIB}M}}"
    where = refusals.shown(Place(file, lab.line or 1))
    raise UsageError(
        f"{where}: lab {lab.name}: dom0 has {lab.dom0.memory // MIB}M, too little for its guests' "
        f"files of {-(-together // MIB)}M (the largest are {name}'s)",
        hint=f"give the lab '{wanted}', and as much more 'memory' if it has none to spare",
    )


def _size(image: GuestImage) -> int:
    return image.kernel.size + (image.ramdisk.size if image.ramdisk else 0)


def _disk_data(image: GuestImage) -> int:
    return sum(int(disk.inputs["data"]) for disk in image.disks.values())


@contextlib.asynccontextmanager
async def alone(lab: LabDir, guest: str) -> AsyncIterator[None]:
    """While the block runs, nobody else replaces the domain of this guest.

    Whoever needs dom0's agent too takes this turn first, so no two wait for each other.

    Raises:
        BusyError: another command did not finish replacing it; the message names that command.
    """
    turn = await turns.take(lab.path / f"create-{guest}.lock", f"guest {guest}", TURN)
    try:
        yield
    finally:
        turn.end()


async def replace(
    agent: Dom0,
    guest: GuestPlan,
    image: GuestImage,
    seen: Callable[[str], None],
    *,
    paused: bool = False,
) -> None:
    """Create the domain of a guest. A domain with the same name is destroyed first.

    ``seen`` hears of each step when it begins; the last one is that xl creates the domain.
    """
    if any(domain.name == guest.name for domain in await xl.domains(agent)):
        seen("destroying the old one")
        await xl.destroy(agent, guest.name)
    seen("copying")
    await xl.put(agent, guest.name, _files(guest, image))
    for vdev, disk in image.disks.items():
        await xl.put_disk(agent, guest.name, vdev, disk)
    if image.backends:
        seen("dom0's drivers")
        bridges = dict.fromkeys(vif.bridge for vif in guest.spec.vifs)
        await xl.start_backends(agent, image.backends, list(bridges))
    seen("xl create")
    await xl.create(agent, guest.name, guest.scheduling, paused=paused)


async def adopt(agent: Dom0, number: int, guest: GuestPlan, image: GuestImage) -> None:
    """Make the domain that Xen created at boot one that ``xl`` knows, under the guest's name."""
    lines = _symbols(guest, image)
    if lines:
        await xl.put(agent, guest.name, {"symbols": lines.encode()})
    cpus = ",".join(map(str, guest.spec.cpus))
    pinned = ("vcpu-pin", guest.name, "all", cpus) if cpus else ()
    await xl.adopt(agent, guest.name, number, pinned)
    if guest.scheduling:
        await xl.schedule(agent, guest.name, guest.scheduling)


def _files(guest: GuestPlan, image: GuestImage) -> dict[str, bytes]:
    files = {"bin": reading.data(image.kernel.path, reading.IMAGE), "cfg": guest.config.encode()}
    if image.ramdisk:
        files["ramdisk"] = reading.data(image.ramdisk.path, reading.IMAGE)
    if lines := _symbols(guest, image):
        files["symbols"] = lines.encode()
    return files


def _symbols(guest: GuestPlan, image: GuestImage) -> str:
    """A line for each variable in the guest's memory that dom0 needs: name, address, size."""
    if image.elf is None:
        return ""
    wanted = [TRACE, DOORBELL] if guest.spec.trace else [DOORBELL]
    try:
        found = elf.objects(reading.data(image.elf.path, reading.IMAGE), wanted)
    except ValueError:
        found = {}  # not built with our port: it runs without them
    return "".join(f"{name} {address:#x} {size}\n" for name, (address, size) in found.items())
