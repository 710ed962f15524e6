"""Reads the keys of labs.yaml that concern timing traces."""

from __future__ import annotations

import re

from lab import model
from lab.config import schema
from lab.config.units import show_size
from lab.config.yaml_source import Loc, Source
from lab.util.suggest import nearest
from lab.util.terminal import quote

#: Groups of Xen's events, with their numbers in xen/include/public/trace.h. On ARM no others have
#: events. ``sched-states`` has only who runs, waits or sleeps.
GROUPS = {
    "all": 0x0FFFF000,
    "sched": 0x0002F000,
    "sched-states": 0x00021000,
    "sched-class": 0x00022000,
    "sched-verbose": 0x00028000,
    "dom0op": 0x0004F000,
    "mem": 0x0010F000,
    "hw": 0x0080F000,
}
MOST_MASK = 0x0FFFFFFF
#: dom0 has 31 virtio-serial ports, but the first is reserved (virtio specification, 5.3.4).
MOST_PORTS = 30


def xen(source: Source, at: Loc, shape: schema.Trace | None) -> model.XenTrace | None:
    """Xen's own trace; ``None`` if there is none."""
    if shape is None:
        return None
    mask = 0
    for i, name in enumerate(shape.xen):
        mask |= _group(source, (*at, "xen", i), name)
    if not shape.xen:
        source.add((*at, "xen"), "'xen' names no event; for example: [sched]")
    return model.XenTrace(tuple(shape.xen), mask)


def ring(source: Source, at: Loc, shape: schema.Guest) -> int:
    """The size of a guest's trace in bytes."""
    if not shape.trace:
        return 0
    if not shape.freertos and not (shape.project and shape.elf):
        why = "it goes with 'freertos', or with 'project' and 'elf'"
        source.add((*at, "trace"), f"'trace' is not allowed here: {why}", key=True)
    elif 2 * shape.trace > shape.memory:
        size, memory = show_size(shape.trace), show_size(shape.memory)
        source.add(
            (*at, "trace"), f"a trace of {size} takes more than half of the guest's {memory}"
        )
    return shape.trace


def fits(source: Source, at: Loc, lab: model.Lab) -> None:
    """Check that dom0 has enough ports."""
    ports = 3  # the agent, the domains, when which byte came
    ports += sum(len(guest.consoles) for guest in (*lab.guests, *lab.later))
    ports += 1 + len(lab.traced) if lab.trace or lab.traced else 0
    ports += 1 if lab.trace else 0
    if ports > MOST_PORTS:
        text = f"{ports} ports to dom0 for consoles and traces; there are only {MOST_PORTS}"
        source.add((*at, "guests"), f"lab '{lab.name}' needs {text}")


def _group(source: Source, at: Loc, name: str) -> int:
    if re.fullmatch(r"0x[0-9a-fA-F]{1,8}", name) and 0 < int(name, 16) <= MOST_MASK:
        return int(name, 16)
    if name not in GROUPS:
        text = f"no group of Xen events {quote(name)}{nearest(name, GROUPS)}; or a mask: 0x2f000"
        source.add(at, text)
    return GROUPS.get(name, 0)
