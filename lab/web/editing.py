"""The files of a seat that its participant can read and change in the page."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import config
from lab.config.excerpt import SOURCES
from lab.errors import ConfigError, LabError, UsageError
from lab.util import files, reading
from lab.util.terminal import quote
from lab.web import boundaries, excerpt
from lab.web.classroom import Seat
from lab.web.discretion import discreet

#: The name under which the participant's part of labs.yaml is shown.
GUESTS = "labs.yaml"
#: The most files that are shown, and the bytes of the largest.
MOST, LARGEST = 64, 256 << 10


@dataclass(frozen=True)
class SeatFile:
    """A file of a seat. ``guests``: those that are made of it."""

    name: str
    text: str
    guests: tuple[str, ...]


def listed(seat: Seat) -> list[SeatFile]:
    """The sources of the guests, then the participant's part of labs.yaml. What is no text is left
    out.

    Raises:
        OSError: a folder cannot be read.
    """
    folders = _folders(seat)
    found = [
        SeatFile(name, text, folders.get(Path(name).parts[:-1], _users(folders, name)))
        for name in _names(seat)
        if (text := _text(seat.folder / name)) is not None
    ]
    everybody = tuple(guest for some in folders.values() for guest in some)
    return [*found, SeatFile(GUESTS, excerpt.own_of(seat.folder), everybody)]


def save(seat: Seat, name: str, text: str) -> None:
    """Write one of these files.

    Raises:
        UsageError: there is no such file, or the text is too large.
        ConfigError: labs.yaml would have a mistake, or lead out of the seat's folder; it stays as
            it was. The message begins with ``labs.yaml:line:column``.
        OSError: it cannot be written.
    """
    if len(text.encode()) > LARGEST:
        raise UsageError(f"{name} would be larger than {reading.size(LARGEST)}")
    if name == GUESTS:
        _save_guests(seat, text)
    elif name in _names(seat):
        files.write_atomic(seat.folder / name, text, durable=False)
    else:
        raise UsageError(f"there is no file {quote(name)} in this seat")


def has_guest(seat: Seat, name: object) -> bool:
    """Whether labs.yaml of the seat has this guest."""
    return any(name in guests for guests in _folders(seat).values())


def _save_guests(seat: Seat, text: str) -> None:
    before = excerpt.own_of(seat.folder)
    boundaries.check(seat.folder, text)
    excerpt.join(seat.folder, text)
    try:
        config.find_lab(config.load(seat.labs), seat.name)
    except LabError as error:
        excerpt.join(seat.folder, before)
        raise ConfigError(discreet(error.message, seat.folder), hint=error.hint) from error


def _names(seat: Seat) -> list[str]:
    """The plain files in the seat's folder ``guests``, links left out."""
    return [str(path.relative_to(seat.folder)) for path in sorted(_walk(seat))][:MOST]


def _walk(seat: Seat) -> Iterator[Path]:
    for folder, below, names in os.walk(seat.folder / boundaries.FOLDER):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink() and path.is_file():
                yield path


def _text(path: Path) -> str | None:
    with contextlib.suppress(OSError, ValueError):
        text = reading.text(path, LARGEST)
        return None if "\0" in text else text
    return None


def _folders(seat: Seat) -> dict[tuple[str, ...], tuple[str, ...]]:
    """The guests of labs.yaml, by the parts of the folder of their sources; () if none."""
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    with contextlib.suppress(OSError, yaml.YAMLError, AttributeError):
        data: Any = yaml.load(reading.data(seat.labs), yaml.BaseLoader)
        for guest, entry in data["guests"].items():
            named = next((entry[key] for key in SOURCES if key in entry), "")
            parts = Path(named).parts
            found[parts] = (*found.get(parts, ()), guest)
    return found


def _users(folders: dict[tuple[str, ...], tuple[str, ...]], name: str) -> tuple[str, ...]:
    """The guests in whose folder, or below, a file is."""
    parts = Path(name).parts
    for folder, guests in folders.items():
        if folder and parts[: len(folder)] == folder:
            return guests
    return ()
