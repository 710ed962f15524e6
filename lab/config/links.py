"""What guests that Xen boots have in common: static event channels, and shared memory.

Xen connects the channels and maps the memory before the guests start (``xen,evtchn`` and
``xen,shared-mem`` in its docs/misc/arm/device-tree/booting.txt). It panics if it cannot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lab.config import fit, fixed_memory, sched, schema
from lab.config.units import nearest, show_size
from lab.config.yaml_source import Loc, Source
from lab.model import RAM_BASE, Channel, FreeRtosApp, GuestSpec, Lab, SharedMemory
from lab.util.terminal import quote

#: The FreeRTOS port knows ports up to this one (events.c).
LAST_FREERTOS_PORT = 31
#: The longest name of shared memory (MAX_SHM_ID_LENGTH in xen/arch/arm/include/asm/setup.h).
LONGEST_NAME = 15
_STATIC_SHM = "CONFIG_STATIC_SHM"


def read(source: Source, at: Loc, shape: schema.Lab, lab: Lab) -> Lab:
    """The lab with its channels and its shared memory; what Xen could not do goes to ``source``."""
    lab = replace(
        lab,
        channels=tuple(Channel(one.port, tuple(one.guests)) for one in shape.channels),
        shared_memory=tuple(
            SharedMemory(one.name, one.address, one.size, tuple(one.guests))
            for one in shape.shared_memory
        ),
    )
    _check(source, at, lab)
    return lab


def _check(source: Source, at: Loc, lab: Lab) -> None:
    used: set[tuple[str, int]] = set()
    for i, channel in enumerate(lab.channels):
        for place, text in _wrong_channel(lab, channel, used):
            source.add((*at, "channels", i, *place), text)
    for i, shared in enumerate(lab.shared_memory):
        here = (*at, "shared_memory", i)
        fit.whole_mebibytes(source, (*here, "size"), shared.size)
        for place, text in _wrong_memory(lab, shared, lab.shared_memory[:i]):
            source.add((*here, *place), text)


def _wrong_channel(
    lab: Lab, channel: Channel, used: set[tuple[str, int]]
) -> Iterator[tuple[Loc, str]]:
    yield from _wrong_guests(lab, channel.guests)
    if len(channel.guests) != 2:
        yield ("guests",), "an event channel connects two guests"
    for name in dict.fromkeys(channel.guests):
        if (name, channel.port) in used:
            yield ("port",), f"guest '{name}' has a channel at port {channel.port} already"
        used.add((name, channel.port))
    booted = {guest.name: guest for guest in lab.booted}
    for guest in (booted[name] for name in channel.guests if name in booted):
        if isinstance(guest.program, FreeRtosApp) and channel.port > LAST_FREERTOS_PORT:
            text = f"guest '{guest.name}': the FreeRTOS port knows ports up to {LAST_FREERTOS_PORT}"
            yield ("port",), text


def _wrong_memory(
    lab: Lab, shared: SharedMemory, before: Sequence[SharedMemory]
) -> Iterator[tuple[Loc, str]]:
    yield from _wrong_guests(lab, shared.guests)
    if not shared.guests:
        yield ("guests",), "no guest would see this memory: name at least one"
    if len(shared.name) > LONGEST_NAME:
        yield ("name",), f"Xen knows names of at most {LONGEST_NAME} characters"
    if any(one.name == shared.name for one in before):
        yield ("name",), f"there is shared memory {quote(shared.name)} already"
    if not sched.has(lab.hypervisor, _STATIC_SHM):
        yield (), _no_shared_memory(lab)
    if wrong := _wrong_place(lab, shared, before):
        yield ("address",), wrong


def _no_shared_memory(lab: Lab) -> str:
    options = "CONFIG_UNSUPPORTED=y, CONFIG_STATIC_MEMORY=y and CONFIG_STATIC_SHM=y"
    if lab.hypervisor.origin == "package":
        return (
            f"hypervisor '{lab.hypervisor.name}' is Debian's package, which is built without "
            f"shared memory: take one with 'from: source' and 'kconfig:' with {options}"
        )
    return f"hypervisor '{lab.hypervisor.name}' is built without shared memory: it needs {options}"


def _wrong_guests(lab: Lab, names: Sequence[str]) -> Iterator[tuple[Loc, str]]:
    guests = {guest.name: guest for guest in lab.guests}
    for i, name in enumerate(names):
        if name not in guests:
            known = nearest(name, guests)
            yield ("guests", i), f"lab '{lab.name}' starts no guest {quote(name)}{known}"
        elif not guests[name].by_xen:
            yield ("guests", i), f"guest '{name}' needs 'start: device-tree' for this"
        elif name in names[:i]:
            yield ("guests", i), f"guest '{name}' is in the list twice"


def _wrong_place(lab: Lab, shared: SharedMemory, before: Sequence[SharedMemory]) -> str:
    part = shared.address, shared.address + shared.size
    last = RAM_BASE + lab.memory
    if part[0] < fixed_memory.FIRST or part[1] > last:
        return (
            f"{_shown(part)} is not in the part of the machine's memory that guests may have: "
            f"{_shown((fixed_memory.FIRST, last))} (it has {show_size(lab.memory)})"
        )
    for other in before:
        theirs = other.address, other.address + other.size
        if _overlap(part, theirs):
            return f"{_shown(part)} overlaps '{other.name}', which is {_shown(theirs)}"
    for guest in lab.booted:
        for what, memory in _memory_of(guest, shared):
            if _overlap(part, memory):
                return f"{_shown(part)} overlaps {what} of guest '{guest.name}': {_shown(memory)}"
    return ""


def _memory_of(guest: GuestSpec, shared: SharedMemory) -> Iterator[tuple[str, tuple[int, int]]]:
    """The memory of a guest in the machine, and as the guest itself sees it."""
    if guest.static_memory:
        yield "the static memory", (guest.static_memory, guest.static_memory + guest.memory)
    if guest.name in shared.guests and not guest.direct_map:
        yield "the memory, as it sees it,", (RAM_BASE, RAM_BASE + guest.memory)


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _shown(part: tuple[int, int]) -> str:
    return f"{part[0]:#x} to {part[1]:#x}"
