"""Domains that Xen itself creates while it boots, as ``/chosen`` of its device tree names them.

Every property is described in Xen's docs/misc/arm/device-tree/booting.txt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import fdt


@dataclass(frozen=True)
class BootDomain:
    """One such domain. ``kernel`` and ``ramdisk``: address in the machine's memory, bytes.

    ``memory`` is in bytes. ``static``: the machine's memory that becomes the domain's, as
    address and bytes; empty: Xen looks for some.
    """

    name: str
    memory: int
    vcpus: int
    kernel: tuple[int, int]
    ramdisk: tuple[int, int] | None = None
    cmdline: str = ""
    static: tuple[int, int] | None = None


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
        kernel = _module("multiboot,kernel", domain.kernel)
        if domain.cmdline:
            kernel.append(fdt.PropStrings("bootargs", domain.cmdline))
        node.append(kernel)
        if domain.ramdisk:
            node.append(_module("multiboot,ramdisk", domain.ramdisk))
        chosen.append(node)


def _module(kind: str, place: tuple[int, int]) -> fdt.Node:
    node = fdt.Node(f"module@{place[0]:x}")
    node.append(fdt.PropStrings("compatible", kind, "multiboot,module"))
    node.append(fdt.PropWords("reg", *_extent(place)))
    return node


def _extent(place: tuple[int, int]) -> tuple[int, ...]:
    return (*_cells(place[0]), *_cells(place[1]))


def _cells(value: int) -> tuple[int, int]:
    return value >> 32, value & 0xFFFF_FFFF
