"""A copy of sources in which the objects of an earlier build stay, so that make reuses them.

Commits that are tried one after another differ in few files. The copy's files are replaced only if
their content differs, and get a time after that of all objects. A build that was interrupted
leaves no objects that count.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from lab.util import files, reading

#: In the folder: the sources that the objects were built from.
BUILT = "built.json"
#: The largest such list, in bytes.
MOST = 64 << 20


class KeptTree:
    """The folder ``folder``; the copy is in ``folder/tree``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tree = folder / "tree"
        self._built = folder / BUILT

    def bring(self, source: Path, wanted: Mapping[str, str]) -> bool:
        """Make the copy's sources those of ``source``; false if there are no objects to reuse.

        ``wanted``: the sha256 of each file by its path, as :func:`lab.util.files.tree_hashes` has
        it.
        """
        try:
            before = reading.json_file(self._built, MOST)
            latest = self._built.stat().st_mtime_ns
            latest = self._built.stat().st_mtime_ns
        except (OSError, ValueError):
            return False
        if not isinstance(before, dict):
            return False
        self._built.unlink()
        for path in before.keys() - wanted.keys():
            (self.tree / path).unlink(missing_ok=True)
        # After the objects, also if the host's clock was put back.
        now = max(time.time_ns(), latest + 1)
        for path, sha in wanted.items():
            if before.get(path) != sha:
                _replace(source / path, self.tree / path, now)
        return True

    @contextlib.contextmanager
    def building(self, wanted: Mapping[str, str]) -> Iterator[None]:
        """The block builds ``wanted`` in the copy. If it fails, nothing of it is reused."""
        self._built.unlink(missing_ok=True)
        yield
        files.write_atomic(self._built, json.dumps(dict(wanted)))


def _replace(source: Path, target: Path, now: int) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() and not target.is_symlink():
        files.remove_tree(target)
    target.unlink(missing_ok=True)
    if source.is_symlink():
        target.symlink_to(source.readlink())
    else:
        files.copy_file(source, target)
        target.chmod(source.stat().st_mode & 0o777)
    os.utime(target, ns=(now, now), follow_symlinks=False)
