"""A seat's own folder: a labs.yaml with one lab, and the sources of its guests.

The teacher's labs.yaml is the original. The folders of guests that are built or packed are copied,
so a participant can change them. Everything else (kernels, disks, trees of Xen) stays where it is,
and the seat's labs.yaml has its absolute path.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from lab.config.excerpt import excerpt
from lab.errors import LabError
from lab.model import Lab
from lab.util import files, reading


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
            excerpt(data, lab, _Folders(labs.absolute().parent, folder)), sort_keys=False
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
