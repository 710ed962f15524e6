"""The labs of a labs.yaml that was checked before: who starts a lab again does not check it again.

Reading and checking costs a fifth of a second, nearly all of it for loading what checks. What
came of it is kept in the cache, one file for each labs.yaml, and counts only while nothing that
it came from has changed: the file's bytes and place, the files and folders that it names, and
the modules that checked it. Anything else that is in the cache, also a damaged file, means that
labs.yaml is read as ever. Only files without a problem are remembered.
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
from lab.util.place import cache_root
from lab.util.terminal import quote

#: So many files are remembered: the latest.
MOST = 100
#: So many bytes of checksum come first.
_SUM = hashlib.sha256().digest_size
_HERE = Path(__file__).parent
#: The modules outside this room that decide what comes of a file. They are only looked at here,
#: for loading them takes longer than all else that a remembered file needs.
CHECKERS = (
    *(f"images/{name}.py" for name in ("elf", "guest_memory", "kernel_file", "kernel_kinds",
                                       "kernel_tree", "zimage")),
    "util/noshell.py",
)  # fmt: skip


@dataclass(frozen=True)
class Named:
    """A file or folder as labs.yaml names it, where that was, and what state it was in."""

    text: str
    folder: bool
    path: Path
    state: tuple[int, ...]


def look(base: Path, text: str, *, folder: bool, most: int = reading.IMAGE) -> tuple[Path, str]:
    """A path of labs.yaml, relative to ``base``, absolute; and what is wrong with it, or ``""``."""
    try:
        path = places.find(base, text)
    except OSError as error:
        return base / text, f"{quote(text)}: {error.strerror}"
    return path, places.wrong(base, text, path, folder=folder, most=most)


def named(base: Path, text: str, *, folder: bool) -> Named:
    """What labs.yaml names, as it is now."""
    try:
        path = places.find(base, text)
    except OSError:
        path = base / text
    return Named(text, folder, path, _state(path, folder=folder))


def recall(file: Path, raw: bytes) -> Labs | None:
    """The labs of a file with these bytes, if it was checked before and nothing has changed."""
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
    """Keep what came of a file. ``looked``: what it names, and whether each is a folder."""
    base = file.absolute().parent
    found = tuple(named(base, text, folder=folder) for text, folder in looked)
    data = pickle.dumps((_origin(file, raw), found, labs), pickle.HIGHEST_PROTOCOL)
    place = _place(file)
    with contextlib.suppress(OSError, LabError):  # a cache that cannot be written is none
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
    """A digest of all that decides what comes of a file, but for the files that it names."""
    others = [_HERE.parent / name for name in CHECKERS]
    modules = sorted([*_HERE.glob("*.py"), *(_HERE.parent / "model").glob("*.py"), *others])
    code = [(path.name, _state(path, folder=False)) for path in modules]
    parts = sys.version, os.fsencode(file.absolute()), code
    return hashlib.sha256(repr(parts).encode() + raw).hexdigest()


def _state(path: Path, *, folder: bool) -> tuple[int, ...]:
    """What changes when a file does; of a folder only that it is there, and is one."""
    try:
        found = path.stat()
    except OSError:
        return ()
    if folder:
        return (stat.S_IFMT(found.st_mode),)
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
