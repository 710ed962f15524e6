"""Checks that a lab fits into its machine: memory, CPUs, pinning."""

from __future__ import annotations

from collections.abc import Sequence

from lab.config.units import show_size
from lab.config.yaml_source import Loc, Source
from lab.model import RAM_BASE, WINDOW_SIZE, Lab
from lab.util.terminal import quote

MIB = 1 << 20
#: Xen's own data besides its heap and its table of frames, with a margin: 1 MiB was measured.
XEN_DATA = 2 * MIB
#: Xen maps its heap in blocks of this size (setup_mm in xen/arch/arm/setup.c).
HEAP_BLOCK = 32 * MIB
#: Xen gives dom0 memory in blocks of this size, whose addresses are multiples of it
#: (allocate_memory_11 in xen/arch/arm/domain_build.c). The first that is free lies behind the
#: kernel and the initramfs (lab.model).
DOM0_BLOCK, FIRST_BLOCK = 128 * MIB, 0x5000_0000
#: With less, Xen finds no block for dom0; and what a lab without dom0 has at least.
LEAST_MEMORY, LEAST_ALONE = 448 * MIB, 256 * MIB
#: The board without its high memory region has 3 GiB (hw/arm/virt.c), the window included.
MOST_MEMORY = (3 << 30) - WINDOW_SIZE
#: What ``xl`` and Xen need for a guest besides its memory: for each vCPU, and once. For its page
#: tables they take 1/256 of its memory (libxl__get_required_paging_memory of libxl).
VCPU_DATA = GUEST_DATA = MIB


def check(source: Source, at: Loc, lab: Lab) -> None:
    """Add a problem to ``source`` for everything that does not fit."""
    whole_mebibytes(source, (*at, "memory"), lab.memory)
    whole_mebibytes(source, (*at, "dom0", "memory"), lab.dom0.memory)
    _memory(source, at, lab)
    _dom0_cpus(source, at, lab)
    _guest_cpus(source, lab)


def whole_mebibytes(source: Source, at: Loc, size: int) -> None:
    if size < MIB or size % MIB:
        source.add(at, f"{show_size(size)} is not a whole number of mebibytes (at least 1M)")


def no_twice(source: Source, at: Loc, items: Sequence[object]) -> None:
    for i, item in enumerate(items):
        if item in items[:i]:
            source.add((*at, i), f"{quote(str(item))} is in the list twice")


def _memory(source: Source, at: Loc, lab: Lab) -> None:
    least = LEAST_ALONE if lab.without_dom0 else LEAST_MEMORY
    if not least <= lab.memory <= MOST_MEMORY:
        bounds = f"{show_size(least)} to {show_size(MOST_MEMORY)}"
        source.add((*at, "memory"), f"'memory': must be from {bounds}")
        return
    if not lab.without_dom0:
        _dom0_memory(source, (*at, "dom0", "memory"), lab)
    dom0 = [] if lab.without_dom0 else [("dom0", lab.dom0.memory)]
    guests = [*lab.guests, *(one for one in lab.later if one.name == lab.explore.neighbour)]
    shares = [*dom0, *((guest.name, guest.memory) for guest in guests)]
    own = of_xen(lab)
    wanted = own + sum(size for _, size in shares)
    if wanted <= lab.memory:
        return
    parts = " + ".join(f"{name} {show_size(size)}" for name, size in shares)
    text = (
        f"lab '{lab.name}' has {show_size(lab.memory)}, but needs {show_size(wanted)}: "
        f"{parts} + Xen {show_size(own)}"
    )
    source.add(_biggest(at, lab), text)


def _dom0_memory(source: Source, at: Loc, lab: Lab) -> None:
    most, least = most_dom0(lab.memory), show_size(DOM0_BLOCK)
    if lab.dom0.memory < DOM0_BLOCK:
        source.add(at, f"'memory': dom0 needs at least {least}")
    elif lab.dom0.memory % DOM0_BLOCK:
        text = f"Xen gives dom0 a multiple of {least}, not {show_size(lab.dom0.memory)}"
        source.add(at, f"'memory': {text}")
    elif lab.dom0.memory > most:
        text = f"of the {show_size(lab.memory)} of lab '{lab.name}' Xen can give dom0"
        has = f"{show_size(most)}; dom0 has {show_size(lab.dom0.memory)} ('dom0: {{memory: …}}')"
        source.add(at, f"'memory': {text} at most {has}")


def of_xen(lab: Lab) -> int:
    """The memory that Xen keeps for itself and for the lab's guests, in bytes."""
    heap, frames = _heap_and_frames(lab.memory)
    guests = (one.memory // 256 + one.vcpus * VCPU_DATA + GUEST_DATA for one in lab.guests)
    return heap + frames + XEN_DATA + sum(_up(size, MIB) for size in guests)


def most_dom0(memory: int) -> int:
    """The most memory that Xen can give dom0 on a machine with this memory, in bytes."""
    heap, frames = _heap_and_frames(memory)
    end = (RAM_BASE + memory) // HEAP_BLOCK * HEAP_BLOCK - heap - _up(frames, HEAP_BLOCK)
    return max(0, end - FIRST_BLOCK) // DOM0_BLOCK * DOM0_BLOCK


def _heap_and_frames(memory: int) -> tuple[int, int]:
    """The sizes of Xen's heap (1/32 of the RAM, with the window) and of its table of frames, with
    32 bytes for each page of 4 KiB (setup_mm, and setup_frametable_mappings in mm.c)."""
    total = memory + WINDOW_SIZE
    frames = total // 4096 * 32
    return _up(total // 32, HEAP_BLOCK), _up(frames, 2 * MIB if frames < 32 * MIB else 32 * MIB)


def _up(size: int, block: int) -> int:
    return -(-size // block) * block


def _biggest(at: Loc, lab: Lab) -> Loc:
    """The place of the largest memory size in labs.yaml."""
    biggest = max(lab.guests, key=lambda guest: guest.memory, default=None)
    if biggest is None or (lab.dom0.memory > biggest.memory and not lab.without_dom0):
        return (*at, "dom0", "memory")
    return ("guests", biggest.name, "memory")


def _dom0_cpus(source: Source, at: Loc, lab: Lab) -> None:
    vcpus, cpus = lab.dom0.vcpus, lab.dom0.cpus
    if vcpus is not None and vcpus > lab.cpus:
        source.add(
            (*at, "dom0", "vcpus"), f"dom0 has {vcpus} vCPUs, but the machine only {lab.cpus} CPUs"
        )
    if not cpus:
        return
    if any(cpu >= lab.cpus for cpu in cpus):
        source.add((*at, "dom0", "cpus"), _no_cpu(lab, max(cpus)))
    if list(cpus) != list(range(vcpus or len(cpus))):
        text = "Xen pins vCPU n of dom0 to CPU n: 'cpus' must be 0, 1, …, one for each vCPU"
        source.add((*at, "dom0", "cpus"), text)


def _guest_cpus(source: Source, lab: Lab) -> None:
    for guest in (*lab.guests, *lab.later):
        at = "guests", guest.name, "cpus"
        missing = [(i, cpu) for i, cpu in enumerate(guest.cpus) if cpu >= lab.cpus]
        if missing and guest.cpus_of_all:
            text = f"'cpus' leaves guest '{guest.name}' no CPU in lab '{lab.name}'"
            source.add(at, f"{text}, which has {lab.cpus}, counted from 0")
        elif missing:  # naming the first one is enough
            i, cpu = missing[0]
            source.add((*at, i), f"{_no_cpu(lab, cpu)} (guest '{guest.name}')")


def _no_cpu(lab: Lab, cpu: int) -> str:
    return f"lab '{lab.name}' has no CPU {cpu}: it has {lab.cpus}, counted from 0"
