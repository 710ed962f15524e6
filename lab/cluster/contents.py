"""What a run needs of its labs.yaml, by content: an excerpt of the file, and what it names.

Each file or folder that labs.yaml names is a *part*. Its name on a worker is the sha256 of its
content, so a worker that has it needs it no more.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.cluster import placed_yaml
from lab.config.excerpt import excerpt
from lab.errors import LabError, UsageError
from lab.model import Lab
from lab.packages import lock
from lab.util import files, reading

#: Where the parts lie, seen from the folder of a run.
PARTS = "../../parts"


@dataclass(frozen=True)
class Part:
    """A file or a folder: its name, and its content as a tar archive."""

    name: str
    data: bytes = field(repr=False)

    @functools.cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Contents:
    """All that a run needs.

    Attributes:
        labs: the text of labs.yaml with one lab. Its lines are those of the original.
        lock: the sha256 of the part that is labs.lock.
        parts: by sha256.
    """

    labs: str
    lock: str
    parts: dict[str, Part] = field(default_factory=dict)


def gather(
    labs: Path, lab: Lab, place: Callable[[Path], Path] | None = None, limit: str = ""
) -> Contents:
    """Read what the runs of a lab need. ``lab``: as labs.yaml, which was checked, describes it.

    ``place``: where a file is read, if not where labs.yaml says. ``limit``: the one threshold that
    the lab has, as labs.yaml would have it, if not its own.

    Raises:
        UsageError: a file cannot be read.
        ImageError: there is no lock.
    """
    parts = _Parts(labs.absolute().parent, place or _as_named)
    try:
        found = excerpt(placed_yaml.load(reading.data(labs)), lab, parts)
        for entry in found["labs"].values() if limit else ():
            entry["thresholds"] = [limit]
        text = placed_yaml.dump(found)
        locked = parts.take(lock.place(labs), lock.NAME)
    except OSError as error:
        raise UsageError(
            f"{error.filename or labs} cannot be sent to a worker: {error.strerror or error}",
            hint="make it readable, or take it out of labs.yaml",
        ) from error
    return Contents(text, locked.sha256, parts.found)


def lay(part: Part, parts: Path) -> None:
    """Unpack a part below the folder ``parts``, unless it is there.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    folder = parts / part.sha256
    with files.locked(files.twin(folder)):
        if folder.is_dir():
            return
        fresh = folder.with_suffix(".new")
        files.remove_tree(fresh)
        unpack(part.data, fresh)
        fresh.rename(folder)


def pack(folder: Path, name: str = ".") -> bytes:
    """The bytes of a file or a folder. They depend on nothing but names, modes and content.

    ``name``: what it is called in the archive.

    Raises:
        OSError: something cannot be read.
    """
    out = io.BytesIO()
    with tarfile.TarFile(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        if not folder.is_dir():
            _add(archive, folder, name)
        else:
            archive.add(folder, name, recursive=False, filter=_plain)
            for path, is_link in files.tree(folder):
                inside = f"{name}/{path.relative_to(folder)}"
                if is_link:
                    archive.add(path, inside, filter=_plain)
                else:
                    _add(archive, path, inside)
    return out.getvalue()


def unpack(data: bytes, folder: Path) -> None:
    """Unpack what :func:`pack` made. Nothing is written outside the folder.

    Raises:
        OSError: the disk is full, or the folder is not writable.
        LabError: it is damaged, or would write elsewhere.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.TarFile(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(folder, filter="tar")
    except tarfile.TarError as error:
        raise LabError(
            f"what was sent for {folder} cannot be unpacked: {error}",
            hint="use the same version of xenlab on all machines of the cluster",
        ) from error


class _Parts:
    """Takes the files that labs.yaml names, each once."""

    def __init__(self, base: Path, place: Callable[[Path], Path]) -> None:
        self._base = base
        self._place = place
        self._places: dict[str, str] = {}
        self.found: dict[str, Part] = {}

    def source(self, text: str) -> str:
        return self.file(text)

    def file(self, text: str) -> str:
        if text not in self._places:
            path = self._base / text
            name = path.resolve().name  # the image of a FreeRTOS guest depends on it
            part = self.take(self._place(path), name)
            self._places[text] = f"{PARTS}/{part.sha256}/{name}"
        return self._places[text]

    def take(self, path: Path, name: str) -> Part:
        part = Part(name, pack(path, name))
        return self.found.setdefault(part.sha256, part)


def _as_named(path: Path) -> Path:
    return path


def _add(archive: tarfile.TarFile, file: Path, name: str) -> None:
    with reading.binary(file, reading.IMAGE) as stream:
        info = _plain(archive.gettarinfo(arcname=name, fileobj=stream))
        if info.islnk():  # another name of a file that is there already: two files all the same
            info.type, info.linkname = tarfile.REGTYPE, ""
            info.size = os.fstat(stream.fileno()).st_size
        archive.addfile(info, stream)


def _plain(info: tarfile.TarInfo) -> Any:
    """Without the owner and the time, which are not content."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
    return info
