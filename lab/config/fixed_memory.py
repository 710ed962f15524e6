"""Guests with memory of their own choice: ``static_memory`` and ``direct_map`` of labs.yaml.

Xen takes the very part of the machine's memory for the guest that its device tree names
(``xen,static-mem``), and panics or asserts if it cannot.
"""

from __future__ import annotations

from lab.config import sched
from lab.config.units import show_size
from lab.config.yaml_source import Loc, Source
from lab.model import RAM_BASE, GuestSpec, Lab
from lab.util.terminal import quote

MIB = 1 << 20
#: Below lie Xen as QEMU loads it, dom0's files and those of the guests that Xen boots (lab.model).
FIRST = 0x5000_0000


def address(text: str) -> int:
    """An address such as ``0x60000000``, of a whole MiB."""
    try:
        found = int(text, 16) if text.lower().startswith("0x") else -1
    except ValueError:
        found = -1
    if not 0 <= found < 1 << 32 or found % MIB:
        raise ValueError(f"{quote(text)} is no address of a whole MiB, such as 0x60000000")
    return found


def check_guest(source: Source, at: Loc, guest: GuestSpec) -> None:
    """Add to ``source`` what one guest alone has wrong."""
    if guest.static_memory and not guest.by_xen:
        text = "'static_memory' is not allowed here: it goes with 'start: device-tree'"
        source.add((*at, "static_memory"), text, key=True)
    if guest.direct_map and not guest.static_memory:
        text = "'direct_map' is not allowed here: it goes with 'static_memory'"
        source.add((*at, "direct_map"), text, key=True)


def check(source: Source, lab: Lab) -> None:
    """Add to ``source`` what does not go together in a lab."""
    known: list[GuestSpec] = []
    for guest in (one for one in lab.booted if one.static_memory):
        if wrong := _wrong(lab, guest, known):
            source.add(("guests", guest.name, "static_memory"), f"lab '{lab.name}': {wrong}")
        known.append(guest)


def _wrong(lab: Lab, guest: GuestSpec, before: list[GuestSpec]) -> str:
    start, end = guest.static_memory, guest.static_memory + guest.memory
    last = RAM_BASE + lab.memory
    if not sched.has(lab.hypervisor, "CONFIG_STATIC_MEMORY"):
        return (
            f"hypervisor '{lab.hypervisor.name}' has no static memory; "
            "one from source with CONFIG_UNSUPPORTED=y and CONFIG_STATIC_MEMORY=y would"
        )
    if start < FIRST or end > last:
        return (
            f"{_part(guest)} is not in the part of the machine's memory that guests may have: "
            f"{FIRST:#x} to {last:#x} (it has {show_size(lab.memory)})"
        )
    for other in before:
        if start < other.static_memory + other.memory and other.static_memory < end:
            return f"{_part(guest)} overlaps guest '{other.name}', which has {_part(other)}"
    return ""


def _part(guest: GuestSpec) -> str:
    return f"{guest.static_memory:#x} to {guest.static_memory + guest.memory:#x}"
