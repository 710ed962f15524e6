"""Keeps the result of checking a labs.yaml, so that the next command need not check it again.

Reading and checking takes a fifth of a second, nearly all of it to load the checker. The result is
kept in the cache, one file for each labs.yaml. It is valid only while nothing has changed on which
it depends: the bytes and the path of labs.yaml, the files and folders that it names, and the
modules that checked it. If the stored file is damaged or out of date, labs.yaml is checked again.
The result of a labs.yaml with problems is not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PosixPath
from typing import Any

from lab import model
from lab.config import places
from lab.errors import LabError
from lab.model import Labs
from lab.util import files, reading
from lab.util.cache_folder import cache_root
from lab.util.terminal import quote

#: The most results that are kept; the oldest go first.
MOST = 100
#: The length in bytes of the checksum with which a stored file begins.
_SUM = hashlib.sha256().digest_size
_HERE = Path(__file__).parent
#: The modules outside this room on which a result depends. Only their times are read here, because
#: loading them takes longer than everything else that a stored result needs.
CHECKERS = (
    *(f"images/{name}.py" for name in ("elf", "guest_memory", "kernel_file", "kernel_formats",
                                       "kernel_kinds", "kernel_tree", "zimage")),
    "util/noshell.py",
)  # fmt: skip


@dataclass(frozen=True)
class Named:
    """A file or folder that labs.yaml names: its text there, its path, and the state that it was
    in."""

    text: str
    folder: bool
    path: Path
    state: tuple[int, ...]


def look(base: Path, text: str, *, folder: bool, most: int = reading.IMAGE) -> tuple[Path, str]:
    """The absolute path of a path in labs.yaml, and what is wrong with it, or ``""``."""
    try:
        path = places.find(base, text)
    except OSError as error:
        return base / text, f"{quote(text)}: {error.strerror}"
    return path, places.wrong(base, text, path, folder=folder, most=most)


def named(base: Path, text: str, *, folder: bool) -> Named:
    """A file or folder that labs.yaml names, in its state now."""
    try:
        path = places.find(base, text)
    except OSError:
        path = base / text
    return Named(text, folder, path, _state(path, folder=folder))


def recall(file: Path, raw: bytes) -> Labs | None:
    """The labs of a file with these bytes, if they were checked before and nothing has changed."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, AttributeError,
                             EOFError, ImportError, pickle.UnpicklingError):  # fmt: skip
        kept = reading.data(_place(file))
        if hashlib.sha256(kept[_SUM:]).digest() != kept[:_SUM]:
            return None
        origin, looked, labs = _Unpickler(io.BytesIO(kept[_SUM:])).load()
        base = file.absolute().parent
        same = origin == _origin(file, raw) and all(
            one == named(base, one.text, folder=one.folder) for one in looked
        )
        return labs if same and isinstance(labs, Labs) else None
    return None


def remember(file: Path, raw: bytes, looked: Iterable[tuple[str, bool]], labs: Labs) -> None:
    """Store the labs of a file. ``looked``: the paths that it names, and whether each is a
    folder."""
    base = file.absolute().parent
    found = tuple(named(base, text, folder=folder) for text, folder in looked)
    data = pickle.dumps((_origin(file, raw), found, labs), pickle.HIGHEST_PROTOCOL)
    place = _place(file)
    with contextlib.suppress(OSError, LabError):  # no harm if the cache cannot be written
        files.write_atomic(place, hashlib.sha256(data).digest() + data, durable=False)
        others = sorted(place.parent.iterdir(), key=lambda one: one.stat().st_mtime_ns)
        for one in others[:-MOST]:
            one.unlink()


class _Unpickler(pickle.Unpickler):
    """Makes nothing but our own plain data (pickle's documentation, "Restricting Globals")."""

    def find_class(self, module: str, name: str) -> Any:
        plain = {(one.__module__, one.__name__): one for one in (Named, PosixPath)}
        if (module, name) in plain:
            return plain[module, name]
        found = getattr(model, name)
        ours = module.startswith(f"{model.__name__}.")
        if not ours or getattr(found, "__module__", "") != module:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of labs.yaml")
        return found


def _place(file: Path) -> Path:
    name = hashlib.sha256(os.fsencode(file.absolute())).hexdigest()[:24]
    return cache_root() / "labs" / name


def _origin(file: Path, raw: bytes) -> str:
    """A digest of everything on which a result depends, except the files that labs.yaml names."""
    others = [_HERE.parent / name for name in CHECKERS]
    modules = sorted([*_HERE.glob("*.py"), *(_HERE.parent / "model").glob("*.py"), *others])
    code = [(path.name, _state(path, folder=False)) for path in modules]
    parts = sys.version, os.fsencode(file.absolute()), code
    return hashlib.sha256(repr(parts).encode() + raw).hexdigest()


def _state(path: Path, *, folder: bool) -> tuple[int, ...]:
    """Values that change when a file does; for a folder, only that it exists and is a folder."""
    try:
        found = path.stat()
    except OSError:
        return ()
    if folder:
        return (stat.S_IFMT(found.st_mode),)
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
