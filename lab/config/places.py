"""Checks the files and folders that labs.yaml names, and says what is there instead.

Nothing is opened: stat(2) shows whether a file is a FIFO or a device.
"""

from __future__ import annotations

import difflib
import errno
import itertools
import os
import stat
from pathlib import Path

from lab.util import reading
from lab.util.terminal import escape, quote

#: The most names of a folder that are compared with a missing one.
NAMES = 1000


def find(base: Path, text: str) -> Path:
    """The absolute path, without links, of a path in labs.yaml, which is relative to ``base``.

    Raises:
        OSError: the path leads nowhere.
    """
    try:
        return (base / Path(text).expanduser()).resolve()
    except RuntimeError as error:  # a loop of links, or the home of an unknown user
        if "loop" in str(error):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), text) from None
        raise OSError(errno.ENOENT, str(error), text) from None


def wrong(base: Path, text: str, path: Path, *, folder: bool, most: int) -> str:
    """What is wrong with a path, in words; empty if it is the expected file or folder.

    ``most``: the largest size of a file in bytes.
    """
    wanted = "folder" if folder else "file"
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return f"no such {wanted}: {quote(text)}{_instead(base, text)}"
    except OSError as error:
        return f"{quote(text)}: {error.strerror}"
    if stat.S_ISDIR(found.st_mode) != folder or (not folder and reading.kind(found.st_mode)):
        what = reading.kind(found.st_mode) or "a file"
        return f"not a {wanted}: {quote(text)} is {what}"
    if not folder and found.st_size > most:
        return f"{quote(text)} is larger than {reading.size(most)}"
    if not os.access(path, os.R_OK | (os.X_OK if folder else 0)):
        return f"{quote(text)} may not be read by this user"
    return ""


def _instead(base: Path, text: str) -> str:
    """The folder that lacks the name, and the nearest name that it has."""
    path = base / Path(text).expanduser()
    while not path.parent.is_dir():
        path = path.parent
    folder = path.parent
    here = f" in {escape(str(folder))}"
    if path != base / text:
        here = f"; there is no {quote(path.name)}{here}"
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in itertools.islice(entries, NAMES)]
    except OSError:
        return here
    near = difflib.get_close_matches(path.name[:100], names, n=1)
    if not near:
        return here
    better = folder / near[0]
    inside = better.is_relative_to(base) and not Path(text).is_absolute()
    return f"{here}; did you mean '{escape(str(better.relative_to(base) if inside else better))}'?"
