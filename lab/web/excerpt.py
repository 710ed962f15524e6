"""A seat's own folder: a labs.yaml with one lab, and the sources of its guests.

The teacher's labs.yaml is the original. The folders of guests that are built or packed are copied,
so a participant can change them. Everything else (kernels, disks, trees of Xen) stays where it is,
and the seat's labs.yaml has its absolute path.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from lab.errors import LabError
from lab.model import Lab
from lab.util import files, reading

#: Keys of a guest whose value is a folder of sources.
SOURCES = ("freertos", "linux", "project")
#: Keys whose value is a path, or a list of paths, that stays where it is.
PATHS = ("kernel", "ramdisk", "elf", "source", "kconfig", "modules", "config")
#: The key of a guest's disk that names its file, as in xl-disk-configuration(5).
TARGET = "target="


def lay(labs: Path, lab: Lab, folder: Path) -> None:
    """Make a seat's folder, unless it has a labs.yaml: then it is the participant's.

    ``lab``: the lab, as labs.yaml describes it; ``labs``: that file, which was checked before.

    Raises:
        LabError: the folder cannot be written, or a source cannot be read.
    """
    if (folder / "labs.yaml").exists():
        return
    renew(labs, lab, folder)


def renew(labs: Path, lab: Lab, folder: Path) -> None:
    """The same, whatever is there; what the participant wrote is lost.

    Raises:
        LabError: as :func:`lay`.
    """
    try:
        data = yaml.load(reading.data(labs), yaml.BaseLoader)
        text = yaml.safe_dump(
            _excerpt(data, lab, _Folders(labs.absolute().parent, folder)), sort_keys=False
        )
        files.write_atomic(folder / "labs.yaml", text, durable=False)
    except OSError as error:
        why = error.strerror or str(error)
        hint = "make room, or make the folder writable"
        raise LabError(
            f"the folder of a seat, {folder}, cannot be made: {why}", hint=hint
        ) from error


class _Folders:
    """Copies folders of sources into a seat, each once, and says where the copies are."""

    def __init__(self, base: Path, seat: Path) -> None:
        self._base = base
        self._seat = seat
        self._copies: dict[Path, str] = {}

    def copied(self, text: str) -> str:
        """The path of the copy in the seat. Its last part is that of the original, because a
        FreeRTOS guest's image depends on it."""
        source = self._base / text
        if source not in self._copies:
            taken = self._copies.values()
            name = source.resolve().name
            place = next(
                place for number in range(len(self._copies) + 1)
                if (place := f"guests/{number}/{name}" if number else f"guests/{name}") not in taken
            )  # fmt: skip
            files.remove_tree(self._seat / place)
            files.copy_tree(source, self._seat / place)
            self._copies[source] = place
        return self._copies[source]

    def absolute(self, text: str) -> str:
        return str(self._base / text)


def _excerpt(data: dict[str, Any], lab: Lab, folders: _Folders) -> dict[str, Any]:
    """labs.yaml with this lab alone, its hypervisor and its guests."""
    name = lab.name if lab.name in data["labs"] else lab.name.rpartition("-")[0]
    entry = dict(data["labs"][name])
    if isinstance(entry.get("dom0"), dict):
        entry["dom0"] = _absolute(entry["dom0"], folders)
    known = data.get("hypervisors") or {}
    found: dict[str, Any] = {}
    if lab.hypervisor.name in known:
        found["hypervisors"] = {lab.hypervisor.name: _absolute(known[lab.hypervisor.name], folders)}
    guests = dict.fromkeys(guest.name for guest in (*lab.guests, *lab.later))
    found["guests"] = {one: _guest(data["guests"][one], folders) for one in guests}
    return found | {"labs": {name: entry}}


def _guest(entry: dict[str, Any], folders: _Folders) -> dict[str, Any]:
    if any(key in entry for key in SOURCES):
        own = {key: folders.copied(entry[key]) for key in SOURCES if key in entry}
        return _disks(entry | own, folders)
    return _disks(_absolute(entry, folders), folders)


def _absolute(entry: dict[str, Any], folders: _Folders) -> dict[str, Any]:
    """The same with absolute paths."""
    return entry | {key: _each(entry[key], folders.absolute) for key in PATHS if key in entry}


def _disks(entry: dict[str, Any], folders: _Folders) -> dict[str, Any]:
    if "disk" not in entry:
        return entry
    return entry | {"disk": _each(entry["disk"], lambda text: _disk(text, folders))}


def _disk(text: str, folders: _Folders) -> str:
    """A disk with the absolute path of its file: the part ``target=FILE``, else the first one."""
    parts = [part.strip() for part in text.split(",")]
    at = next((i for i, part in enumerate(parts) if part.startswith(TARGET)), 0)
    file = parts[at].removeprefix(TARGET)
    parts[at] = parts[at].removesuffix(file) + folders.absolute(file)
    return ",".join(parts)


def _each(value: Any, change: Callable[[str], str]) -> Any:
    return [change(one) for one in value] if isinstance(value, list) else change(value)
