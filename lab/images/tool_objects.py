"""The folders in which dom0's tools are compiled. They keep the object files between builds.

``<cache>/objects/<mark>/`` belongs to one source tree, recipe, sysroot and toolchain. The folders
that were used last are kept. ``objects/locks/<mark>`` is held while a folder is used or removed.
Locks are never removed: another process may be waiting for one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.util import files

#: The number of folders that are kept. Each takes some 30 MB of the disk.
KEPT = 8
_LOCKS = "locks"


@contextlib.contextmanager
def folder(cache: Path, made_of: Any) -> Iterator[Path]:
    """The folder of a build, as the last build left it, or empty. No other process uses it.

    ``made_of`` is what the folder belongs to, as JSON.
    """
    root, mark = cache / "objects", files.sha256_json(made_of)[:32]
    with files.locked(root / _LOCKS / mark):
        (root / mark).mkdir(exist_ok=True)
        os.utime(root / mark)
        _make_room(root)
        yield root / mark


def _make_room(root: Path) -> None:
    """Remove the folders that were not used for longest, unless a process uses one now."""
    found = [path for path in root.iterdir() if path.name != _LOCKS and path.is_dir()]
    for path in files.newest_first(found)[KEPT:]:
        handle = files.try_lock(root / _LOCKS / path.name)
        if handle is not None:
            files.remove_tree(path)
            os.close(handle)
