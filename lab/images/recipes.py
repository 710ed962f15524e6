"""Finds the sources and recipes of images: ``images/`` beside the package ``lab``."""

from __future__ import annotations

from pathlib import Path

import lab
from lab.errors import ImageError
from lab.util import files


def folder(name: str) -> Path:
    """The folder ``images/<name>``.

    Raises:
        ImageError: this installation lacks it.
    """
    path = Path(lab.__file__).resolve().parent.parent / "images" / name
    if not path.is_dir():
        raise ImageError(f"the sources of images are missing: {path}", hint="install lab anew")
    return path


def hashes(*paths: Path) -> dict[str, str]:
    """The sha256 of every file at or under ``paths``, by its path below the named one."""
    found: dict[str, str] = {}
    for top in paths:
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file():
                found[str(path.relative_to(top.parent))] = files.sha256_file(path)
    return found
