"""A seat's own folder: a labs.yaml with one lab, and the sources of its guests.

The teacher's labs.yaml is the original. The folders of guests that are built or packed are copied,
so a participant can change them. Everything else (kernels, disks, trees of Xen) stays where it is,
and the seat's labs.yaml has its absolute path.

A seat's labs.yaml begins with what the participant may change: the guests, and those of the keys
:data:`OWN` that the lab has. What comes after the line :data:`REST` is the teacher's, and is kept
in a file of its own too.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import yaml

from lab.config.excerpt import excerpt
from lab.errors import LabError, UsageError
from lab.model import Lab
from lab.model.architecture import ARCHITECTURES
from lab.util import files, reading

#: The line of a seat's labs.yaml after which nothing is the participant's.
REST = "# The rest is your teacher's."
#: In a seat's folder: what comes after that line, and what came before it at first.
TEACHER, FIRST = "teacher.yaml", "first-guests.yaml"
#: Keys of the lab that are the participant's, if the teacher's labs.yaml has them.
OWN = ("cpus", "scheduler")


def lay(labs: Path, lab: Lab, folder: Path) -> None:
    """Make a seat's folder, unless it has a labs.yaml: then it is the participant's.

    ``lab``: the lab, as labs.yaml describes it; ``labs``: that file, which was checked before.

    Raises:
        LabError: the folder cannot be written, or a source cannot be read.
        UsageError: the lab was of another architecture when the folder was made.
    """
    if (folder / "labs.yaml").exists():
        _same_architecture(lab, folder)
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
        own = _text(_taken(found))
        for name, text in ((TEACHER, _text(found)), (FIRST, own)):
            files.write_atomic(folder / name, text, durable=False)
        join(folder, own)
    except OSError as error:
        why = error.strerror or str(error)
        hint = "make room, or make the folder writable"
        raise LabError(
            f"the folder of a seat, {folder}, cannot be made: {why}", hint=hint
        ) from error


def join(folder: Path, own: str) -> None:
    """Write a seat's labs.yaml: what is the participant's, and what is the teacher's.

    If the lab has keys in ``own``, its other keys follow them in the same column.

    Raises:
        OSError: a file cannot be read or written.
    """
    rest = reading.text(folder / TEACHER)
    if column := _column(own):
        data = yaml.load(rest, yaml.BaseLoader)
        (entry,) = data.pop("labs").values()
        rest = textwrap.indent(_text(entry), " " * column) + (_text(data) if data else "")
    text = f"{own.rstrip()}\n\n{REST}\n{rest}"
    files.write_atomic(folder / "labs.yaml", text, durable=False)


def _same_architecture(lab: Lab, folder: Path) -> None:
    (entry,) = yaml.load(reading.text(folder / TEACHER), yaml.BaseLoader)["labs"].values()
    known, now = entry.get("arch", ARCHITECTURES[0].xen), lab.arch.xen
    if known != now:
        raise UsageError(
            f"the seats of this class are {known}, and its lab is {now} now",
            hint=f"say --arch {known}, or remove {folder.parent.parent}: the seats begin anew",
        )


def own_of(folder: Path) -> str:
    """The participant's part of a seat's labs.yaml.

    Raises:
        OSError: it cannot be read.
    """
    return reading.text(folder / "labs.yaml").partition(REST)[0].rstrip() + "\n"


def _taken(found: dict[str, Any]) -> dict[str, Any]:
    """Take out of an excerpt what is the participant's."""
    own: dict[str, Any] = {"guests": found.pop("guests")}
    ((name, entry),) = found["labs"].items()
    if keys := {key: entry.pop(key) for key in OWN if key in entry}:
        own["labs"] = {name: keys}
    return own


def _column(own: str) -> int:
    """The column of the lab's keys in the participant's part; 0: it has none."""
    root: Any = yaml.compose(own, yaml.SafeLoader)
    labs = next((value for key, value in root.value if key.value == "labs"), None)
    return int(labs.value[0][1].start_mark.column) if labs else 0


class _Plain(yaml.SafeDumper):
    """Writes every text without quotation marks, if it can: our labs.yaml has only texts."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012


def _text(data: dict[str, Any]) -> str:
    return yaml.dump(data, Dumper=_Plain, sort_keys=False)


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
