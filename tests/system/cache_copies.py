"""Copies of the user's cache, which other tests use and change meanwhile."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

#: What was built. What is half-made has a name that begins with a dot.
STORE = "store/*/[!.]*"
TEMPLATES = "templates/[!.]*"
#: The packages, and what is known of archives.
DOWNLOADS = ("apt/*", "packages/[!.]*")


def link(source: str, target: str) -> None:
    """Hard-link a file. It may be gone, because another test removes what it downloaded only in
    part."""
    with contextlib.suppress(FileNotFoundError):
        os.link(source, target)


def copy_finished(
    cache: Path,
    into: Path,
    *patterns: str,
    copy: Callable[[str, str], object] = shutil.copy2,
    but: tuple[str, ...] = (),
) -> None:
    """Copy what matches the patterns into another cache, without files of the names ``but``.

    Each is copied whole, or left out if another test removes it meanwhile.
    """
    leave = shutil.ignore_patterns(*but)
    for one in [found for pattern in patterns for found in sorted(cache.glob(pattern))]:
        target = into / one.relative_to(cache)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if one.is_dir():
                shutil.copytree(one, target, copy_function=copy, symlinks=True, ignore=leave)
            else:
                copy(str(one), str(target))
        except (OSError, shutil.Error):
            shutil.rmtree(target, ignore_errors=True)
