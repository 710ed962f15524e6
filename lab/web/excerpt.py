"""A seat's own folder: a labs.yaml with one lab, and the sources of its guests.

The teacher's labs.yaml is the original. The folders of guests that are built or packed are copied,
so a participant can change them. Everything else (kernels, disks, trees of Xen) stays where it is,
and the seat's labs.yaml has its absolute path.

A seat's labs.yaml begins with the guests, which the participant may change. What comes after the
line :data:`REST` is the teacher's, and is kept in a file of its own too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lab.config.excerpt import excerpt
from lab.errors import LabError
from lab.model import Lab
from lab.util import files, reading

#: The line of a seat's labs.yaml after which nothing is the participant's.
REST = "# The rest is your teacher's."
#: In a seat's folder: what comes after that line, and the guests as they were at first.
TEACHER, FIRST = "teacher.yaml", "first-guests.yaml"


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
        found = excerpt(data, lab, _Folders(labs.absolute().parent, folder))
        guests = _text({"guests": found.pop("guests")})
        for name, text in ((TEACHER, _text(found)), (FIRST, guests)):
            files.write_atomic(folder / name, text, durable=False)
        join(folder, guests)
    except OSError as error:
        why = error.strerror or str(error)
        hint = "make room, or make the folder writable"
        raise LabError(
            f"the folder of a seat, {folder}, cannot be made: {why}", hint=hint
        ) from error


def join(folder: Path, guests: str) -> None:
    """Write a seat's labs.yaml: these guests, and what is the teacher's.

    Raises:
        OSError: a file cannot be read or written.
    """
    rest = reading.text(folder / TEACHER)
    text = f"{guests.rstrip()}\n\n{REST}\n{rest}"
    files.write_atomic(folder / "labs.yaml", text, durable=False)


def guests_of(folder: Path) -> str:
    """The text of the guests in a seat's labs.yaml.

    Raises:
        OSError: it cannot be read.
    """
    return reading.text(folder / "labs.yaml").partition(REST)[0].rstrip() + "\n"


def _text(data: dict[str, Any]) -> str:
    return yaml.safe_dump(data, sort_keys=False)


class _Folders:
    """Copies folders of sources into a seat, each once, and says where the copies are."""

    def __init__(self, base: Path, seat: Path) -> None:
        self._base = base
        self._seat = seat
        self._copies: dict[Path, str] = {}

    def source(self, text: str) -> str:
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

    def file(self, text: str) -> str:
        return str(self._base / text)
