"""An excerpt of labs.yaml: one lab, its hypervisor and its guests.

Whoever makes one says where the files are that it names: they may lie elsewhere than before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from lab.model import Lab
from lab.model.architecture import ARCHITECTURES

#: Keys of a guest whose value is a folder of sources.
SOURCES = ("freertos", "linux", "project")
#: Keys whose value is a path, or a list of paths, of something that is used as it is.
PATHS = ("kernel", "ramdisk", "elf", "source", "kconfig", "modules", "config")
#: The key of a guest's disk that names its file, as in xl-disk-configuration(5).
TARGET = "target="


class Places(Protocol):
    """Where the files are that an excerpt names. Each gets the path that labs.yaml has."""

    def source(self, text: str) -> str:
        """The folder with the sources of a guest."""

    def file(self, text: str) -> str:
        """Anything else: a kernel, a disk, a tree of Xen."""


def excerpt(data: dict[str, Any], lab: Lab, places: Places) -> dict[str, Any]:
    """labs.yaml with this lab alone, its hypervisor and its guests.

    ``data``: all of labs.yaml, as YAML reads it; ``lab``: the lab, checked.
    """
    name = lab.name if lab.name in data["labs"] else lab.name.rpartition("-")[0]
    entry = dict(data["labs"][name])
    if lab.arch != ARCHITECTURES[0] or "arch" in entry:  # an option may have decided, or all labs
        entry["arch"] = lab.arch.xen
    if isinstance(entry.get("dom0"), dict):
        entry["dom0"] = _placed(entry["dom0"], places)
    known = data.get("hypervisors") or {}
    found: dict[str, Any] = {}
    if lab.hypervisor.name in known:
        found["hypervisors"] = {lab.hypervisor.name: _placed(known[lab.hypervisor.name], places)}
    guests = dict.fromkeys(guest.name for guest in (*lab.guests, *lab.later))
    found["guests"] = {one: _guest(data["guests"][one], places) for one in guests}
    return found | {"labs": {name: entry}}


def _guest(entry: dict[str, Any], places: Places) -> dict[str, Any]:
    if any(key in entry for key in SOURCES):
        own = {key: places.source(entry[key]) for key in SOURCES if key in entry}
        return _disks(entry | own, places)
    return _disks(_placed(entry, places), places)


def _placed(entry: dict[str, Any], places: Places) -> dict[str, Any]:
    return entry | {key: _each(entry[key], places.file) for key in PATHS if key in entry}


def _disks(entry: dict[str, Any], places: Places) -> dict[str, Any]:
    if "disk" not in entry:
        return entry
    return entry | {"disk": _each(entry["disk"], lambda text: _disk(text, places))}


def _disk(text: str, places: Places) -> str:
    """A disk with the place of its file: the part ``target=FILE``, else the first one."""
    parts = [part.strip() for part in text.split(",")]
    at = next((i for i, part in enumerate(parts) if part.startswith(TARGET)), 0)
    file = parts[at].removeprefix(TARGET)
    parts[at] = parts[at].removesuffix(file) + places.file(file)
    return ",".join(parts)


def _each(value: Any, change: Callable[[str], str]) -> Any:
    return [change(one) for one in value] if isinstance(value, list) else change(value)
