"""Whether what labs.yaml names is there and can be used; if not, what there is instead.

Nothing is opened: a FIFO or a device is known by what stat(2) says of it.
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

#: So many names of a folder are compared with one that it does not have.
NAMES = 1000


def find(base: Path, text: str) -> Path:
    """A path of labs.yaml, relative to its folder ``base``, absolute and without links.

    Raises:
        OSError: there is no way to it.
    """
    try:
        return (base / Path(text).expanduser()).resolve()
    except RuntimeError as error:  # links that end nowhere, or a home that nobody has
        if "loop" in str(error):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), text) from None
        raise OSError(errno.ENOENT, str(error), text) from None


def wrong(base: Path, text: str, path: Path, *, folder: bool, most: int) -> str:
    """What is wrong with it, in words; empty if it is the file or folder that is wanted.

    ``most``: how many bytes a file may have.
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
    """Which folder was looked in, and what in it has nearly that name."""
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
