"""What ``XEN_CMD`` asks of Xen, in the words of labs.yaml (docs/misc/xen-command-line of Xen)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from lab.config import sched
from lab.config.imported.imagebuilder_keys import XEN_COLOURS, XEN_OWN
from lab.config.imported.named_files import NamedFiles
from lab.util.resources import resource
from lab.util.terminal import quote

_SIZE = re.compile(r"([0-9]{1,12})([KMGkmg]?)")
#: A number without a unit is in KiB ("size" in xen-command-line).
_UNITS = {"": 10, "k": 10, "m": 20, "g": 30}
MIB = 1 << 20


@dataclass(frozen=True)
class Told:
    """The parts of a command line. ``dom0_memory``: in bytes, 0 if it does not say."""

    scheduler: str = ""
    dom0_memory: int = 0
    dom0_vcpus: int = 0
    args: str = ""
    notes: tuple[str, ...] = ()


def read(text: str) -> Told:
    """The parts of Xen's command line; what the lab does not need is left out."""
    memory = vcpus = 0
    scheduler, args, notes = "", [], []
    for word in text.split():
        key, _, value = word.partition("=")
        if key == "dom0_mem":
            memory = _memory(value)
        elif key == "dom0_max_vcpus" and value.isdecimal():
            vcpus = int(value)
        elif key == "sched" and value in sched.PARAMETERS:
            scheduler = value
        elif key in XEN_COLOURS:
            notes.append(f"{quote(word)}: QEMU has no cache that could be coloured")
        elif key not in XEN_OWN:
            args.append(word)
    return Told(scheduler, memory, vcpus, " ".join(args), tuple(notes))


def hypervisor(told: Told, static_memory: bool, files: NamedFiles) -> dict[str, Any]:
    """The hypervisor that a lab needs: with the scheduler, or with arguments. Empty: any does."""
    own: dict[str, Any] = {}
    if static_memory or told.scheduler not in ("", *sched.ALWAYS):
        names = ["debug.config", *(["static-memory.config"] if static_memory else [])]
        fragments = [files.own(resource("images/hypervisor") / name) for name in names]
        own = {"from": "source", "kconfig": fragments}
    if told.args:
        own = own or {"from": "package"}
        own["args"] = told.args
    return own


def _memory(value: str) -> int:
    """``dom0_mem=[min:SIZE,][max:SIZE,]SIZE`` in bytes, in whole MiB."""
    sizes = [part for part in value.split(",") if not part.startswith("min:")]
    plain = [part for part in sizes if ":" not in part] or [part[4:] for part in sizes]
    match = _SIZE.fullmatch(plain[0]) if plain else None
    size = int(match[1]) << _UNITS[match[2].lower()] if match else 0
    return size // MIB * MIB
