"""Domains that Xen itself creates while it boots, as ``/chosen`` of its device tree names them.

Every property is described in Xen's docs/misc/arm/device-tree/booting.txt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.images import boot_memory
from lab.images.fdt_package import fdt
from lab.model import (
    BOOTED_ADDRESS,
    GuestImage,
    Image,
    Plan,
    SharedMemory,
)
from lab.store import Store
from lab.util import files, reading

PIECE = 2 << 20
#: Phandles from here on are ours; QEMU counts from 0x8000 (qemu_fdt_alloc_phandle).
OWN_PHANDLES = 0x10000


@dataclass(frozen=True)
class BootDomain:
    """One such domain. ``kernel`` and ``ramdisk``: address in the machine's memory, bytes.

    ``memory`` is in bytes. ``static``: the machine's memory that becomes the domain's, as
    address and bytes; empty: Xen looks for some. ``direct_map``: the domain sees it at the same
    address. ``channels``: port, phandle of this end, phandle of the other end.
    """

    name: str
    memory: int
    vcpus: int
    kernel: tuple[int, int]
    ramdisk: tuple[int, int] | None = None
    cmdline: str = ""
    static: tuple[int, int] | None = None
    direct_map: bool = False
    channels: Sequence[tuple[int, int, int]] = ()
    shared: Sequence[SharedMemory] = ()


def build(
    store: Store, plan: Plan, images: Mapping[str, GuestImage]
) -> tuple[Image, list[BootDomain]]:
    """The files of the guests that Xen boots, in one, and their domains.

    Each file begins at a multiple of 2 MiB.

    Raises:
        UsageError: a guest's memory is too small for Xen's way to place its files.
    """
    guests = plan.booted
    inputs = {
        "recipe": files.sha256_file(Path(__file__)),
        "guests": [[image.sha256 for image in _files(images[one.name])] for one in guests],
    }

    def make(folder: Path) -> None:
        for one in guests:
            for image in _files(images[one.name]):
                data = reading.data(image.path, reading.IMAGE)
                files.append(folder / "booted", data.ljust(_up(len(data)), b"\0"))

    return store.make("booted", inputs, make).image("booted"), list(_domains(plan, images))


def _domains(plan: Plan, images: Mapping[str, GuestImage]) -> Iterator[BootDomain]:
    at = BOOTED_ADDRESS
    for one in plan.booted:
        places = []
        for image in _files(images[one.name]):
            places.append((at, image.size))
            at += _up(image.size)
        boot_memory.check(one, images[one.name])
        ramdisk = places[1] if len(places) > 1 else None
        yield BootDomain(
            one.name,
            one.spec.memory,
            one.spec.vcpus,
            places[0],
            ramdisk,
            one.cmdline,
            (one.spec.static_memory, one.spec.memory) if one.spec.static_memory else None,
            one.spec.direct_map,
            list(_ends(plan, one.name)),
            [memory for memory in plan.lab.shared_memory if one.name in memory.guests],
        )


def _ends(plan: Plan, guest: str) -> Iterator[tuple[int, int, int]]:
    """The ends of channels that this guest has; see :class:`BootDomain`."""
    for number, channel in enumerate(plan.lab.channels):
        if guest in channel.guests:
            own = channel.guests.index(guest)
            first = OWN_PHANDLES + 2 * number
            yield channel.port, first + own, first + 1 - own


def _files(image: GuestImage) -> list[Image]:
    return [image.kernel, *([image.ramdisk] if image.ramdisk else [])]


def _up(size: int) -> int:
    return -(-size // PIECE) * PIECE


def add(tree: fdt.FDT, domains: Sequence[BootDomain], *, dom0: bool) -> None:
    """Add the domains to ``/chosen``, in their order: the first one becomes domain 1.

    Each has the PL011 that Xen emulates, and Xen's interfaces for guests. xenstore is one of
    them only where there is a dom0; without one Xen panics if asked for it.
    """
    chosen = tree.get_node("/chosen")
    for number, domain in enumerate(domains, 1):
        node = fdt.Node(f"domU{number}")
        node.append(fdt.PropStrings("compatible", "xen,domain"))
        node.append(fdt.PropWords("#address-cells", 2))
        node.append(fdt.PropWords("#size-cells", 2))
        node.append(fdt.PropWords("memory", *_cells(domain.memory >> 10)))
        node.append(fdt.PropWords("cpus", domain.vcpus))
        node.append(fdt.Property("vpl011"))
        node.append(fdt.PropStrings("xen,enhanced", "enabled" if dom0 else "no-xenstore"))
        if domain.static:
            node.append(fdt.PropWords("xen,static-mem", *_extent(domain.static)))
        if domain.direct_map:
            node.append(fdt.Property("direct-map"))
        kernel = _module("multiboot,kernel", domain.kernel)
        if domain.cmdline:
            kernel.append(fdt.PropStrings("bootargs", domain.cmdline))
        node.append(kernel)
        if domain.ramdisk:
            node.append(_module("multiboot,ramdisk", domain.ramdisk))
        for channel in domain.channels:
            node.append(_channel(*channel))
        for shared in domain.shared:
            node.append(_shared(shared))
        chosen.append(node)


def _module(kind: str, place: tuple[int, int]) -> fdt.Node:
    node = fdt.Node(f"module@{place[0]:x}")
    node.append(fdt.PropStrings("compatible", kind, "multiboot,module"))
    node.append(fdt.PropWords("reg", *_extent(place)))
    return node


def _channel(port: int, own: int, other: int) -> fdt.Node:
    """One end of a channel; ``own`` and ``other`` are the phandles of both ends."""
    node = fdt.Node(f"evtchn@{port:x}")
    node.append(fdt.PropStrings("compatible", "xen,evtchn-v1"))
    node.append(fdt.PropWords("phandle", own))
    node.append(fdt.PropWords("xen,evtchn", port, other))
    return node


def _shared(shared: SharedMemory) -> fdt.Node:
    """Memory that several domains see. Nobody owns it: its owner is DOMID_IO."""
    node = fdt.Node(f"shared@{shared.address:x}")
    node.append(fdt.PropStrings("compatible", "xen,domain-shared-memory-v1"))
    node.append(fdt.PropStrings("xen,shm-id", shared.name))
    at = _cells(shared.address)
    node.append(fdt.PropWords("xen,shared-mem", *at, *at, *_cells(shared.size)))
    return node


def _extent(place: tuple[int, int]) -> tuple[int, ...]:
    return (*_cells(place[0]), *_cells(place[1]))


def _cells(value: int) -> tuple[int, int]:
    return value >> 32, value & 0xFFFF_FFFF
