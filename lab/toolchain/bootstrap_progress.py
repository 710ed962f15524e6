"""How far mmdebstrap is: it says nothing when nobody looks at a terminal, but its tree grows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from lab.progress import Amount

_ARCHIVES = "var/cache/apt/archives"
#: Debian Policy, 12.3: every package has a folder here, or a link.
_DOCUMENTS = "usr/share/doc"


class Growth:
    """Says what is fetched into a tree and unpacked in it; ``size``: all packages, in bytes.

    The size may be a guess (0: not known), what is unpacked is counted exactly.
    """

    def __init__(self, tree: Path, size: int) -> None:
        self._tree = tree
        self._fetched = Amount(size)
        self._unpacked: Amount | None = None

    def __call__(self) -> str:
        sizes = dict(_sizes(self._tree / _ARCHIVES))
        there = _names(self._tree / _DOCUMENTS)
        if not there:
            coming = sum(size for _, size in _sizes(self._tree / _ARCHIVES / "partial"))
            done = sum(sizes.values()) + coming
            return f"fetched {self._fetched.words(done)}" if done else "reading Debian's index"
        self._unpacked = self._unpacked or Amount(sum(sizes.values()))
        done = sum(size for name, size in sizes.items() if name in there)
        return f"unpacked {self._unpacked.words(done)}"


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    """Each package file, by its package's name, and its size so far."""
    if folder.is_dir():
        with os.scandir(folder) as entries:
            for entry in entries:
                if ".deb" in entry.name:
                    yield unquote(entry.name).partition("_")[0], entry.stat().st_size


def _names(folder: Path) -> set[str]:
    return set(os.listdir(folder)) if folder.is_dir() else set()  # noqa: PTH208
