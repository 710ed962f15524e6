"""Checks that a lab fits into its machine: memory, CPUs, pinning."""

from __future__ import annotations

from collections.abc import Sequence

from lab.config.units import show_size
from lab.config.yaml_source import Loc, Source
from lab.model import WINDOW_SIZE, Lab
from lab.util.terminal import quote

MIB = 1 << 20
#: The memory that Xen keeps for itself: its heap (1/32 of the RAM, at least 32 MiB) and its tables.
XEN_RESERVE = 64 * MIB
#: Kernel and initramfs are placed up to here (lab.model), so less cannot boot.
LEAST_MEMORY = 256 * MIB
#: The board without its high memory region has 3 GiB (hw/arm/virt.c), the window included.
MOST_MEMORY = (3 << 30) - WINDOW_SIZE
LEAST_DOM0 = 128 * MIB


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
    if not LEAST_MEMORY <= lab.memory <= MOST_MEMORY:
        bounds = f"{show_size(LEAST_MEMORY)} to {show_size(MOST_MEMORY)}"
        source.add((*at, "memory"), f"'memory': the machine can have {bounds}")
        return
    if lab.dom0.memory < LEAST_DOM0 and not lab.without_dom0:
        least = show_size(LEAST_DOM0)
        source.add((*at, "dom0", "memory"), f"'memory': dom0 needs at least {least}")
    dom0 = [] if lab.without_dom0 else [("dom0", lab.dom0.memory)]
    shares = [*dom0, *((guest.name, guest.memory) for guest in lab.guests)]
    wanted = XEN_RESERVE + sum(size for _, size in shares)
    if wanted <= lab.memory:
        return
    parts = " + ".join(f"{name} {show_size(size)}" for name, size in shares)
    text = (
        f"lab '{lab.name}' has {show_size(lab.memory)}, and this is {show_size(wanted)}: "
        f"{parts} + Xen {show_size(XEN_RESERVE)}"
    )
    source.add(_biggest(at, lab), text)


def _biggest(at: Loc, lab: Lab) -> Loc:
    """The place of the largest memory size in labs.yaml."""
    biggest = max(lab.guests, key=lambda guest: guest.memory, default=None)
    if biggest is None or (lab.dom0.memory > biggest.memory and not lab.without_dom0):
        return (*at, "dom0", "memory")
    return ("guests", biggest.name, "memory")


def _dom0_cpus(source: Source, at: Loc, lab: Lab) -> None:
    vcpus, cpus = lab.dom0.vcpus, lab.dom0.cpus
    if vcpus is not None and vcpus > lab.cpus:
        source.add((*at, "dom0", "vcpus"), f"dom0 has {vcpus} vCPUs, the machine {lab.cpus} CPUs")
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
            text = f"'cpus' leaves guest '{guest.name}' none of the CPUs of lab '{lab.name}'"
            source.add(at, f"{text}: its 'cpus' is {lab.cpus}, counted from 0")
        elif missing:  # naming the first one is enough
            i, cpu = missing[0]
            source.add((*at, i), f"{_no_cpu(lab, cpu)} (guest '{guest.name}')")


def _no_cpu(lab: Lab, cpu: int) -> str:
    return f"lab '{lab.name}' has no CPU {cpu}: its 'cpus' is {lab.cpus}, counted from 0"
