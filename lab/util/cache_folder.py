"""Where everything that can be made again is kept. Quick to import: a shell may be waiting."""

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
