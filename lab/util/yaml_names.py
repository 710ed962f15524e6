"""The names in a labs.yaml, read quickly and without checks, for completion."""

from __future__ import annotations

import os
from pathlib import Path

from lab.util import reading

#: The largest file that is read, in bytes.
LARGEST = 4 << 20


def defined(file: Path, section: str) -> dict[str, str]:
    """Each name below ``labs``, ``guests``, ``matrices`` or ``hypervisors``, with its description.

    Empty if the file cannot be read or is not a labs.yaml.
    """
    import yaml

    try:
        # Words as they are written: other loaders turn a lab `null` into None and `on` into True.
        loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
        found = yaml.load(reading.data(file, LARGEST), loader)[section]
        return {str(name): _description(value) for name, value in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError,
            yaml.YAMLError):  # fmt: skip
        return {}


def with_runs(folder: Path) -> list[str]:
    """The labs that have runs in a folder ``runs/``."""
    try:
        return sorted(one.name for one in os.scandir(folder) if one.is_dir())
    except OSError:
        return []


def _description(value: object) -> str:
    return str(value.get("description", "")) if isinstance(value, dict) else ""
