"""What participants read says nothing about the server's file system.

A file of the seat is named by its place in the seat's folder, as the page shows it. Of any other
file of the server only the last part of its name is left.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import lab
from lab import rundir
from lab.errors import LabError
from lab.util.cache_folder import cache_root
from lab.util.terminal import escape
from lab.web import classroom

#: What is left of the folders that are not shown.
ELSEWHERE = "…"
#: The parts that a folder of the server has at least. The names of those with fewer (``/root``) are
#: the same in every system, also in dom0 and in the toolchain.
PARTS = 3
#: The end of the name of a folder, and what follows in the name of a file.
_END, _REST = r"(?![\w-])", r"[^\s'\",:;()]*"
#: Temporary files of ours.
_TEMPORARY = re.compile(rf"/tmp/xenlab-[\w-]*({_REST})")
#: A path that was too long, and was cut.
_CUT = re.compile(r"(/[^\s'\"]+)(?= … \[\d+ more )")


def discreet(text: str, seat: Path) -> str:
    """A message for the participant whose seat has this folder."""
    if "/" not in text:
        return text
    for name in _names([seat]):
        text = re.sub(name + rf"{_END}/?(?=({_REST}))", lambda at: "" if at[1] else ".", text)
    folders = [*_folders(seat)]
    for name in _names(folders):
        text = re.sub(f"{name}{_END}({_REST})", _last, text)
    return _CUT.sub(lambda at: _cut(at[1], [seat, *folders]), _TEMPORARY.sub(_last, text))


def _folders(seat: Path) -> Iterator[Path]:
    """Folders of the server that messages name."""
    yield cache_root()
    with contextlib.suppress(LabError):
        yield rundir.runtime_root()
    for folder in seat.parents:
        if folder.name == classroom.FOLDER:
            yield folder.parent.parent  # of the teacher's labs.yaml
    yield Path(lab.__file__).parents[1]
    if sys.prefix != sys.base_prefix:
        yield Path(sys.prefix)
    with contextlib.suppress(OSError, RuntimeError):  # it was removed; there is none
        yield Path.cwd()
        yield Path.home()


def _names(folders: list[Path]) -> list[str]:
    """The patterns of how messages name these folders, the longest names first: absolute, without
    links, and from the current folder on."""
    whole = {str(name) for one in folders for name in (one, one.resolve())}
    whole = {name for name in whole if len(Path(name).parts) >= PARTS}
    relative: set[str] = set()
    with contextlib.suppress(OSError):
        relative = {os.path.relpath(name) for name in whole}
    relative = {name for name in relative if "/" in name and Path(name).name != ".."}
    found = [(escape(name), "") for name in whole]
    found += [(escape(name), r"(?<![\w./-])") for name in relative]
    found.sort(key=lambda one: -len(one[0]))
    return [before + re.escape(name) for name, before in found]


def _last(at: re.Match[str]) -> str:
    """The last part of a name below a folder."""
    last = at[1].rstrip("/").rpartition("/")[2]
    return f"{ELSEWHERE}/{last}" if at[1].startswith("/") and last else ELSEWHERE + at[1]


def _cut(path: str, folders: list[Path]) -> str:
    """Nothing of a path that was cut within the name of a folder."""
    return ELSEWHERE if any(str(one).startswith(path) for one in folders) else path
