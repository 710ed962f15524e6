"""Finds the files that ship with the lab: ``images/``, ``dockerfiles/``, ``labs.yaml``.

In a checkout they are beside the package. In an installed package they are inside it
(``setup.py``).
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "resources"


def resource(*parts: str) -> Path:
    """A file or folder that ships with the lab: in a checkout, or inside the installed package.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    root = _PACKAGE.parent if in_checkout() else _INSTALLED
    path = root.joinpath(*parts)
    if path.exists():
        return path
    raise FileNotFoundError(f"{'/'.join(parts)} is missing from the installation")


def in_checkout() -> bool:
    """Whether this is a checkout of the project rather than an installed package."""
    return not _INSTALLED.is_dir()


def as_called(text: str) -> str:
    """A text for people with the right command: ``xenlab`` instead of ``./inv`` outside a
    checkout."""
    return text if in_checkout() else text.replace("./inv ", "xenlab ")
