"""The class of a lab: its folder, its seats, and the secrets in their links.

Everything is in ``runs/.classes/NAME`` beside labs.yaml, so a server that is started again has the
same links and the same labs. Only one server at a time has a class.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import rundir
from lab.errors import BusyError, LabError, UsageError
from lab.rundir import LabDir
from lab.util import files, reading

#: The folder of all classes, in the folder of runs. No lab can have this name.
FOLDER = ".classes"
#: More seats than this are surely a typing mistake.
MOST = 64
#: Bytes of randomness in the secret of a link.
SECRET = 16


@dataclass(frozen=True)
class Seat:
    """One participant's lab.

    Attributes:
        name: the name of its lab: ``NAME-1``, ``NAME-2``, …
        folder: has its labs.yaml, the sources of its guests, and its runs.
        secret: the secret part of its link.
    """

    number: int
    name: str
    folder: Path
    secret: str

    @property
    def labs(self) -> Path:
        """Its labs.yaml."""
        return self.folder / "labs.yaml"

    @property
    def lab(self) -> LabDir:
        """The folder of its live lab, as every command computes it."""
        return rundir.lab_dir(self.folder / "runs", self.name)


@dataclass(frozen=True)
class Classroom:
    """The seats of a lab, and the secret of the teacher's link."""

    name: str
    folder: Path
    teacher: str
    seats: tuple[Seat, ...]


@contextlib.contextmanager
def opened(runs: Path, name: str, count: int) -> Iterator[Classroom]:
    """The class of a lab with ``count`` seats; 0: as many as it had, or one.

    Raises:
        UsageError: the count is not sensible.
        BusyError: another server has this class.
        LabError: its folder cannot be made, or its file is damaged.
    """
    if not 0 <= count <= MOST:
        raise UsageError(f"a class cannot have {count} seats", hint=f"1 to {MOST}")
    folder = runs / FOLDER / name
    with _claimed(folder, name):
        teacher, keys = _keys(folder / "class.json", count)
        seats = [
            Seat(number, f"{name}-{number}", folder / "seats" / str(number), key)
            for number, key in enumerate(keys, 1)
        ]
        yield Classroom(name, folder, teacher, tuple(seats))


@contextlib.contextmanager
def _claimed(folder: Path, name: str) -> Iterator[None]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        hint = "make room, or make the folder writable"
        words = f"the folder of the class, {folder}, cannot be made: {error.strerror}"
        raise LabError(words, hint=hint) from error
    handle = files.try_lock(folder / "lock")
    if handle is None:
        raise BusyError(
            f"another server has the class {name}",
            hint="use its links, or stop it with Ctrl-C where it was started",
        )
    try:
        yield
    finally:
        os.close(handle)


def _keys(file: Path, count: int) -> tuple[str, list[str]]:
    """The secrets of the teacher and of the seats; new ones are stored."""
    known = _read(file)
    keys: list[str] = known.get("seats", [])
    count = count or max(1, known.get("open", len(keys)))
    keys = [*keys, *(secrets.token_urlsafe(SECRET) for _ in range(count - len(keys)))]
    teacher = known.get("teacher") or secrets.token_urlsafe(SECRET)
    text = json.dumps({"teacher": teacher, "open": count, "seats": keys}, indent=1)
    files.write_private(file, text + "\n")
    return teacher, keys[:count]


def _read(file: Path) -> dict[str, Any]:
    try:
        data = reading.json_file(file)
        if not isinstance(data, dict) or not all(isinstance(one, str) for one in data["seats"]):
            raise ValueError("it is not the file of a class")
        return data
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = getattr(error, "strerror", None) or error
        hint = f"remove the file: then all links are new (folders of seats stay in {file.parent})"
        raise LabError(f"{file} cannot be read: {why}", hint=hint) from error
