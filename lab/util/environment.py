"""Switches in the environment, such as ``LAB_COLD=1``."""

from __future__ import annotations

import os


def switched_on(name: str) -> bool:
    """Whether a variable is set to anything except an empty text or 0."""
    return os.environ.get(name, "0") not in ("", "0")
