"""Finds the sources and the recipes that images are built from."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lab.errors import ImageError
from lab.model import Architecture
from lab.util import files
from lab.util.resources import resource


def folder(name: str) -> Path:
    """The folder ``images/<name>``.

    Raises:
        ImageError: this installation has no such folder.
    """
    try:
        return resource("images", name)
    except FileNotFoundError as error:
        raise ImageError(str(error), hint="install the lab again") from None


def facts(arch: Architecture) -> str:
    """The sha256 of an architecture's facts. Images are made with them, so their keys have it."""
    return hashlib.sha256(repr(arch).encode()).hexdigest()


def hashes(*paths: Path) -> dict[str, str]:
    """The sha256 of every file at or below ``paths``.

    The key of a file is its path, relative to the parent of the one in ``paths`` that has it.

    Raises:
        FileNotFoundError: one of ``paths`` does not exist: the result would not depend on it.
    """
    found: dict[str, str] = {}
    for top in paths:
        top.stat()
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file():
                found[str(path.relative_to(top.parent))] = files.sha256_file(path)
    return found
