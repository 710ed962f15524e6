"""The cache folder: everything in it can be made again. Quick to import, because completion uses
it."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """The cache's folder: ``$LAB_CACHE``, else ``$XDG_CACHE_HOME/xenlab``, else
    ``~/.cache/xenlab``."""
    if named := os.environ.get("LAB_CACHE"):
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "xenlab"
